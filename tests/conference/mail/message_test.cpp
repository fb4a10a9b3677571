// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "mail/message.hpp"

#include <escqrs/testing/catch2.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <string>

namespace {

mail::Message sample()
{
    mail::Message mail;
    mail.id = "01234567-89ab-4def-8123-456789abcdef";
    mail.message_id = "01234567-89ab-4def-8123-456789abcdef@conference.example";
    mail.date = std::chrono::sys_days{std::chrono::November / 23 / 2026} + std::chrono::hours{10};
    mail.from_name = "Conference registration";
    mail.from = "no-reply@conference.example";
    mail.to = "ada@example.org";
    mail.subject = "Please confirm";
    mail.text = "Hello,\n\nhow are you?\n";
    return mail;
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

/// Every line is at most this long, and ends with CRLF and with nothing else.
std::size_t longest_line(const std::string& text)
{
    std::size_t longest = 0;
    std::size_t begin = 0;
    while (begin < text.size()) {
        const std::size_t end = text.find("\r\n", begin);
        REQUIRE(end != std::string::npos);
        const std::string line = text.substr(begin, end - begin);
        CHECK(line.find_first_of("\r\n") == std::string::npos);
        longest = std::max(longest, line.size());
        begin = end + 2;
    }
    return longest;
}

} // namespace

TEST_CASE("mail: every byte of a plain one")
{
    CHECK(mail::to_rfc5322(sample()) == "Date: Mon, 23 Nov 2026 10:00:00 +0000\r\n"
                                        "From: Conference registration <no-reply@conference.example>\r\n"
                                        "To: <ada@example.org>\r\n"
                                        "Message-ID: <01234567-89ab-4def-8123-456789abcdef@conference.example>\r\n"
                                        "Subject: Please confirm\r\n"
                                        "Auto-Submitted: auto-generated\r\n"
                                        "MIME-Version: 1.0\r\n"
                                        "Content-Type: text/plain; charset=utf-8\r\n"
                                        "Content-Transfer-Encoding: 7bit\r\n"
                                        "\r\n"
                                        "Hello,\r\n"
                                        "\r\n"
                                        "how are you?\r\n");
}

TEST_CASE("mail: the same mail gives the same bytes in every attempt")
{
    auto again = sample();
    again.attempt = 7;
    CHECK(mail::to_rfc5322(again) == mail::to_rfc5322(sample()));
}

TEST_CASE("mail: text that is not ASCII, or has long lines, is quoted-printable")
{
    auto mail = sample();
    mail.text = "Gr\xC3\xBC\xC3\x9F Gott = hello \n.\nlast line without end";
    const auto text = mail::to_rfc5322(mail);
    CHECK(contains(text, "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
                         "Gr=C3=BC=C3=9F Gott =3D hello=20\r\n.\r\nlast line without end\r\n"));

    mail.text = std::string(1000, 'x') + "\n" + std::string(76, 'y') + "\n" + std::string(77, 'z') + "\n";
    const auto folded = mail::to_rfc5322(mail);
    CHECK(longest_line(folded) <= 76);
    CHECK(contains(folded, "\r\n" + std::string(76, 'y') + "\r\n"));
    CHECK(contains(folded, "\r\n" + std::string(75, 'z') + "=\r\nzz\r\n"));
}

TEST_CASE("mail: a header that is not ASCII is made of encoded words")
{
    auto mail = sample();
    mail.subject = "Gr\xC3\xBC\xC3\x9F Gott";
    CHECK(contains(mail::to_rfc5322(mail), "Subject: =?UTF-8?B?R3LDvMOfIEdvdHQ=?=\r\n"));
    mail.subject = "";
    for (int count = 0; count < 60; ++count) mail.subject += "\xE2\x82\xAC"; // euro signs
    const auto text = mail::to_rfc5322(mail);
    CHECK(longest_line(text) <= 85);
    CHECK(contains(text, "?=\r\n =?UTF-8?B?4oKs")); // no character is cut in two
}

TEST_CASE("mail: a display name with special characters is quoted")
{
    auto mail = sample();
    mail.from_name = "Ada \"the first\" Lovelace, Inc.";
    CHECK(contains(mail::to_rfc5322(mail),
                   "From: \"Ada \\\"the first\\\" Lovelace, Inc.\" <no-reply@conference.example>\r\n"));
}

TEST_CASE("mail: nothing that comes from outside can add a header or a recipient")
{
    for (const std::string& hostile :
         {std::string{"ada@example.org\r\nBcc: eve@example.com"}, std::string{"ada@example.org\n"},
          std::string{"a b@c.d"}, std::string{"ada@example.org>, <eve@example.com"},
          std::string{"ada@example.org,eve@example.com"}, std::string{"ada@example.org\0", 16}, std::string{},
          std::string(400, 'a'), std::string{"\xC3\xA4@example.org"}}) {
        CAPTURE(hostile);
        for (auto field : {&mail::Message::to, &mail::Message::from, &mail::Message::message_id}) {
            auto mail = sample();
            mail.*field = hostile;
            CHECK_THROWS_AS(mail::to_rfc5322(mail), mail::Error);
        }
    }
    for (auto field : {&mail::Message::subject, &mail::Message::from_name}) {
        auto mail = sample();
        mail.*field = "Hello\r\nBcc: eve@example.com";
        CHECK_THROWS_AS(mail::to_rfc5322(mail), mail::Error);
    }
    auto mail = sample();
    mail.text = "bare\rreturn\nand NUL \x01\n"; // in the text it is encoded
    longest_line(mail::to_rfc5322(mail));
    CHECK(contains(mail::to_rfc5322(mail), "bare=0Dreturn\r\n"));
}
