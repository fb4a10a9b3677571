// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "mail/smtp_client.hpp"

#include "../read_model/read_model_fixture.hpp"
#include "smtp_server.hpp"
#include "support/fake_resolver.hpp"

#include <escqrs/testing/catch2.hpp>

#include <algorithm>
#include <future>
#include <stop_token>
#include <string>
#include <vector>

using namespace conference;
using namespace conference::test;

namespace {

mail::Message sample(const std::string& to = "ada@example.org")
{
    mail::Message mail;
    mail.id = to_string(escqrs::random_uuid());
    mail.message_id = mail.id + "@conference.example";
    mail.date = std::chrono::sys_days{std::chrono::November / 23 / 2026};
    mail.from_name = "Conference registration";
    mail.from = "no-reply@conference.example";
    mail.to = to;
    mail.subject = "Please confirm";
    mail.text = "Hello,\n.\n..two dots\nbye\n";
    return mail;
}

std::string url(const SmtpServer& server, const std::string& user = "")
{
    return "smtp://" + user + "127.0.0.1:" + std::to_string(server.port());
}

bool told(SmtpServer& server, const std::string& prefix)
{
    const auto commands = server.commands();
    return std::ranges::any_of(commands, [&](const std::string& command) { return command.starts_with(prefix); });
}

} // namespace

TEST_CASE("smtp: a server takes the mail as it was written", "[integration]")
{
    SmtpServer server;
    mail::SmtpClient client{url(server)};
    const auto mail = sample();
    client.deliver(mail, {});
    REQUIRE(server.mails().size() == 1);
    const auto received = server.mails().front();
    CHECK(received.from.starts_with("<no-reply@conference.example>"));
    CHECK(received.recipients == std::vector<std::string>{"<ada@example.org>"});
    std::string stuffed = mail::to_rfc5322(mail);
    stuffed.replace(stuffed.find("\r\n.\r\n..two"), 10, "\r\n..\r\n...two");
    CHECK(received.data == stuffed);
}

TEST_CASE("smtp: several mails go over one connection", "[integration]")
{
    SmtpServer server;
    mail::SmtpClient client{url(server)};
    for (int count = 0; count < 3; ++count) client.deliver(sample(), {});
    CHECK(server.mails().size() == 3);
    const auto commands = server.commands();
    CHECK(std::ranges::count_if(commands, [](const auto& command) { return command.starts_with("EHLO"); }) == 1);
}

TEST_CASE("smtp: name and password are sent to the server, decoded", "[integration]")
{
    SmtpServer server;
    mail::SmtpClient client{url(server, "ada:p%40ss@")};
    client.deliver(sample(), {});
    CHECK(told(server, "AUTH PLAIN"));
    const auto commands = server.commands();
    const std::string credentials = "AGFkYQBwQHNz"; // \0ada\0p@ss
    CHECK(std::ranges::any_of(commands, [&](const auto& line) { return line.find(credentials) != std::string::npos; }));
}

TEST_CASE("smtp: a mail answered with 5xx is refused, with 4xx or no code of SMTP has failed, and the next one is sent",
          "[integration]")
{
    SmtpServer server;
    mail::SmtpClient client{url(server)};
    const std::string refused_at = GENERATE("RCPT TO:", ".", "DATA");
    const std::string answer =
        GENERATE("550 no such mailbox", "554-no\r\n554 never", "450 busy", "452 full", "999 what");
    CAPTURE(refused_at, answer);
    server.answer_with(
        [&](const std::string& line) -> std::string { return line.starts_with(refused_at) ? answer : ""; });
    try {
        client.deliver(sample("nobody@example.org"), {});
        FAIL("accepted");
    } catch (const mail::ServerUnavailable&) {
        FAIL("the server is there");
    } catch (const mail::Error& error) {
        CHECK(std::string{error.what()}.find(answer.substr(0, 3)) != std::string::npos);
        CHECK((dynamic_cast<const mail::Refused*>(&error) != nullptr) == answer.starts_with('5'));
    }
    CHECK(server.mails().empty());
    server.answer_with({});
    client.deliver(sample(), {});
    CHECK(server.mails().size() == 1);
}

TEST_CASE("smtp: a server that is away, breaks off or refuses everything is unavailable", "[integration]")
{
    SmtpServer server;
    mail::SmtpClient client{url(server, "ada:secret@")};
    std::string broken_at;
    std::string answer = "close";
    SECTION("at once") { broken_at = "EHLO"; }
    SECTION("before the mail") { broken_at = "DATA"; }
    SECTION("after the mail, without an answer") { broken_at = "."; }
    SECTION("it sends no greeting")
    {
        broken_at = "EHLO";
        answer = "554 we do not know you";
    }
    SECTION("it wants to know first who we are")
    {
        broken_at = "MAIL";
        answer = "530 authentication required";
    }
    SECTION("wrong password")
    {
        broken_at = "AUTH";
        answer = "535 wrong";
    }
    SECTION("it takes no mail from us")
    {
        broken_at = "MAIL";
        answer = GENERATE(as<std::string>{}, "550 your address is not welcome", "554-no\r\n554 never", "452 full",
                          "550 " + std::string(300'000, 'x'));
    }
    SECTION("it does not know how to ask who we are")
    {
        broken_at = "AUTH";
        answer = "504 unknown";
    }
    SECTION("going down")
    {
        broken_at = "MAIL";
        answer = "421 closing";
    }
    CAPTURE(broken_at);
    server.answer_with([&](const std::string& line) {
        const bool is_greeting = line.starts_with("HELO") && broken_at == "EHLO";
        return line.starts_with(broken_at) || is_greeting ? answer : std::string{};
    });
    try {
        client.deliver(sample(), {});
        FAIL("accepted");
    } catch (const mail::ServerUnavailable& error) {
        CHECK(std::string{error.what()}.find("secret") == std::string::npos);
    }
    server.answer_with({});
    client.deliver(sample(), {});
    CHECK(server.mails().size() == 1);
}

TEST_CASE("smtp: a long answer costs one mail only, and ends it unless the mail was taken", "[integration]")
{
    SmtpServer server;
    mail::SmtpClient client{url(server)};
    const std::string at = GENERATE("RCPT TO:", ".");
    const std::string code = GENERATE("550", "450", "250", "999");
    std::string answer;
    SECTION("one line of 300 KB") { answer = code + " " + std::string(300'000, 'x'); }
    SECTION("one line of 1 MB") { answer = code + " " + std::string(1'000'000, 'x'); }
    SECTION("many lines")
    {
        for (int line = 0; line < 4000; ++line) answer += code + "-" + std::string(72, 'x') + "\r\n";
        answer += code + " end";
    }
    const bool is_known = answer.find('\n') != std::string::npos; // of one long line libcurl tells nothing
    CAPTURE(at, code);
    server.answer_with([&](const std::string& line) { return line.starts_with(at) ? answer : std::string{}; });
    try {
        client.deliver(sample(), {});
        CHECK((is_known && code == "250"));
    } catch (const mail::Refused&) {
        CHECK(is_known);
        CHECK((code == "550" || (code == "250" && at == "RCPT TO:")));
    } catch (const mail::ServerUnavailable&) {
        FAIL("the server is there");
    } catch (const mail::Error& error) {
        CHECK((!is_known || code == "450" || code == "999"));
        if (!is_known) CHECK(std::string_view{error.what()}.find("(answer too long)") != std::string_view::npos);
    }
    const auto taken = server.mails().size();
    server.answer_with({});
    client.deliver(sample(), {});
    CHECK(server.mails().size() == taken + 1);
}

TEST_CASE("smtp: no server at all", "[integration]")
{
    std::string address;
    {
        const SmtpServer gone;
        address = url(gone);
    }
    mail::SmtpClient client{address};
    CHECK_THROWS_AS(client.deliver(sample(), {}), mail::ServerUnavailable);
}

TEST_CASE("smtp: a password is not sent without TLS to another machine", "[integration]")
{
    SmtpServer server;
    // Another name for this machine, which the client does not take for it.
    mail::SmtpClient client{"smtp://ada:secret@0.0.0.0:" + std::to_string(server.port())};
    CHECK_THROWS_AS(client.deliver(sample(), {}), mail::ServerUnavailable);
    CHECK_FALSE(told(server, "AUTH"));
    CHECK_FALSE(told(server, "MAIL"));
    // A name that only begins as an address of this machine does.
    mail::SmtpClient named{"smtp://ada:secret@127.here.test:" + std::to_string(server.port())};
    CHECK_THROWS_AS(named.deliver(sample(), {}), mail::ServerUnavailable);
    CHECK_FALSE(told(server, "AUTH"));
    CHECK(std::ranges::count_if(server.commands(), [](const auto& line) { return line.starts_with("EHLO"); }) == 2);
}

TEST_CASE("smtp: a stop request ends a mail while the look-up of the server's name hangs", "[integration]")
{
    const HangingResolver resolver;
    mail::SmtpClient client{std::string{"smtp://"} + HangingResolver::name};
    std::stop_source stop;
    auto delivered = std::async(std::launch::async, [&] { client.deliver(sample(), stop.get_token()); });
    resolver.wait_for_lookups(1);
    stop.request_stop();
    CHECK_THROWS_WITH(delivered.get(), Catch::Contains("stopped before the answer came"));
    CHECK(resolver.all_hang());
}

TEST_CASE("smtp: a stop request breaks off what the server does not have yet", "[integration]")
{
    SmtpServer server;
    mail::SmtpClient client{url(server)};
    std::stop_source stop;
    server.answer_with([&](const std::string& line) -> std::string {
        if (line.starts_with("MAIL")) stop.request_stop();
        return "";
    });
    try {
        client.deliver(sample(), stop.get_token());
        CHECK(server.mails().size() == 1); // it was quicker
    } catch (const mail::ServerUnavailable&) {
        CHECK(server.mails().empty());
    }
}

TEST_CASE("smtp: a stop request waits only so long for a server that has the mail and is silent", "[integration]")
{
    SmtpServer server;
    mail::SmtpClient client{url(server), std::chrono::milliseconds{50}};
    std::stop_source stop;
    server.answer_with([&](const std::string& line) -> std::string {
        if (line == ".") stop.request_stop();
        return line == "." ? "silence" : "";
    });
    try {
        client.deliver(sample(), stop.get_token());
        FAIL("nothing was answered");
    } catch (const mail::ServerUnavailable& error) {
        CHECK_THAT(error.what(), Catch::Contains("stopped before the answer came"));
    }
}

TEST_CASE("smtp: a stop request waits for the answer to a mail that the server has", "[integration]")
{
    SmtpServer server;
    mail::SmtpClient client{url(server)};
    std::stop_source stop;
    server.answer_with([&](const std::string& line) -> std::string {
        if (line == ".") stop.request_stop();
        return "";
    });
    client.deliver(sample(), stop.get_token());
    CHECK(server.mails().size() == 1);
}

TEST_CASE("smtp: a client goes away without waiting for a server that is silent by then", "[integration]")
{
    SmtpServer server;
    {
        mail::SmtpClient client{url(server)};
        client.deliver(sample(), {});
        server.answer_with([&](const std::string&) -> std::string { return "silence"; });
    }
    CHECK_FALSE(told(server, "QUIT"));
}
