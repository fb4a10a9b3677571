// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "worker/mail_writer.hpp"

#include "../read_model/read_model_fixture.hpp"

#include <escqrs/testing/catch2.hpp>

#include <string>

using namespace conference;
using conference::test::moment;

namespace {

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

} // namespace

TEST_CASE("mail: the confirmation mail says what to do, with link and confirmation id")
{
    OwedMail owed;
    owed.event_id = escqrs::EventId::parse("01234567-89ab-4def-8123-456789abcdef");
    owed.recipient = "lovelace@example.net";
    owed.attendee_id = AttendeeId::parse("11111111-2222-4333-8444-555555555555");
    owed.confirmation_id = ConfirmationId::parse("aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee");
    owed.created_at = moment(5);
    owed.attempt = 2;
    const auto mail = MailWriter{"https://conference.example:8443", ""}(owed);
    const auto text = mail::to_rfc5322(mail);
    CHECK(contains(text, "\r\nhttps://conference.example:8443/#confirm=aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee\r\n"));
    CHECK_FALSE(contains(text, "11111111")); // the attendee's id is the key to the registration
    CHECK(contains(text, "\r\naaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee\r\n"));
    CHECK(contains(text, "To: <lovelace@example.net>\r\n"));
    CHECK(contains(text, "From: Conference registration <no-reply@conference.example>\r\n"));
    CHECK(contains(text, "Message-ID: <01234567-89ab-4def-8123-456789abcdef@conference.example>\r\n"));
    CHECK(contains(text, "Date: Mon, 23 Nov 2026 00:00:05 +0000\r\n"));
    CHECK(contains(text, "Content-Transfer-Encoding: 7bit\r\n")); // people may read it in a file
    CHECK(mail.attempt == 2);
}

TEST_CASE("mail: the mail to a new registration brings its key, and says what to do if a stranger gets it")
{
    OwedMail owed;
    owed.recipient = "ada@example.org";
    owed.attendee_id = AttendeeId::parse("11111111-2222-4333-8444-555555555555");
    const auto text = mail::to_rfc5322(MailWriter{"https://conference.example:8443", ""}(owed));
    CHECK(contains(text, "\r\nhttps://conference.example:8443/#registration=11111111-2222-4333-8444-555555555555\r\n"));
    CHECK(contains(text, "To: <ada@example.org>\r\n"));
    CHECK(contains(text, "the link is the key to your registration"));
    CHECK(contains(text, "If you did not register"));
    CHECK_FALSE(contains(text, "confirm"));
    CHECK(contains(text, "Content-Transfer-Encoding: 7bit\r\n"));
}

TEST_CASE("mail: the sender is what was set, else at the page's host")
{
    const OwedMail owed{.event_id = {}, .recipient = "ada@example.org", .attendee_id = {}, .confirmation_id = {}};
    const auto sender = [&](const char* url, const char* from) { return MailWriter{url, from}(owed).from; };
    CHECK(sender("https://conference.example", "hello@example.org") == "hello@example.org");
    CHECK(sender("http://127.0.0.1:8080", "") == "no-reply@[127.0.0.1]");
    CHECK(sender("http://[::1]:8080", "") == "no-reply@[IPv6:::1]");
    CHECK(sender("http://localhost", "") == "no-reply@localhost");
    CHECK_THROWS_AS(sender("https://conference.example", "a b"), mail::Error);
    CHECK_THROWS_AS(sender("conference.example", ""), mail::Error);
    CHECK_THROWS_AS(sender("https://conference.example/\r\nX: y", ""), mail::Error);
}
