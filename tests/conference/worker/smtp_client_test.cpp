// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "worker/smtp_client.hpp"

#include "../read_model/read_model_fixture.hpp"
#include "smtp_server.hpp"

#include <escqrs/testing/catch2.hpp>

#include <algorithm>
#include <string>
#include <vector>

using namespace conference;
using namespace conference::test;

namespace {

Mail sample(const std::string& to = "ada@example.org")
{
    Mail mail;
    mail.id = escqrs::EventId{escqrs::random_uuid()};
    mail.message_id = to_string(mail.id) + "@conference.example";
    mail.date = moment(0);
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
    SmtpClient client{url(server)};
    const auto mail = sample();
    client.deliver(mail, {});
    REQUIRE(server.mails().size() == 1);
    const auto received = server.mails().front();
    CHECK(received.from.starts_with("<no-reply@conference.example>"));
    CHECK(received.recipients == std::vector<std::string>{"<ada@example.org>"});
    std::string stuffed = to_rfc5322(mail);
    stuffed.replace(stuffed.find("\r\n.\r\n..two"), 10, "\r\n..\r\n...two");
    CHECK(received.data == stuffed);
}

TEST_CASE("smtp: several mails go over one connection", "[integration]")
{
    SmtpServer server;
    SmtpClient client{url(server)};
    for (int count = 0; count < 3; ++count) client.deliver(sample(), {});
    CHECK(server.mails().size() == 3);
    const auto commands = server.commands();
    CHECK(std::ranges::count_if(commands, [](const auto& command) { return command.starts_with("EHLO"); }) == 1);
}

TEST_CASE("smtp: name and password are sent to the server, decoded", "[integration]")
{
    SmtpServer server;
    SmtpClient client{url(server, "ada:p%40ss@")};
    client.deliver(sample(), {});
    CHECK(told(server, "AUTH PLAIN"));
    const auto commands = server.commands();
    const std::string credentials = "AGFkYQBwQHNz"; // \0ada\0p@ss
    CHECK(std::ranges::any_of(commands, [&](const auto& line) { return line.find(credentials) != std::string::npos; }));
}

TEST_CASE("smtp: a refused mail is an error of that mail, and the next one is sent", "[integration]")
{
    SmtpServer server;
    SmtpClient client{url(server)};
    const std::string refused_at = GENERATE("RCPT TO:", ".", "MAIL FROM:");
    CAPTURE(refused_at);
    server.answer_with([&](const std::string& line) -> std::string {
        return line.starts_with(refused_at) ? "550 no such mailbox" : "";
    });
    try {
        client.deliver(sample("nobody@example.org"), {});
        FAIL("accepted");
    } catch (const MailServerUnavailable&) {
        FAIL("the server is there");
    } catch (const MailError& error) {
        CHECK(std::string{error.what()}.find("550") != std::string::npos);
    }
    CHECK(server.mails().empty());
    server.answer_with({});
    client.deliver(sample(), {});
    CHECK(server.mails().size() == 1);
}

TEST_CASE("smtp: a server that is away, breaks off or refuses everything is unavailable", "[integration]")
{
    SmtpServer server;
    SmtpClient client{url(server, "ada:secret@")};
    std::string broken_at;
    std::string answer = "close";
    SECTION("at once") { broken_at = "EHLO"; }
    SECTION("before the mail") { broken_at = "DATA"; }
    SECTION("after the mail, without an answer") { broken_at = "."; }
    SECTION("wrong password")
    {
        broken_at = "AUTH";
        answer = "535 wrong";
    }
    SECTION("going down")
    {
        broken_at = "MAIL";
        answer = "421 closing";
    }
    CAPTURE(broken_at);
    server.answer_with([&](const std::string& line) { return line.starts_with(broken_at) ? answer : std::string{}; });
    try {
        client.deliver(sample(), {});
        FAIL("accepted");
    } catch (const MailServerUnavailable& error) {
        CHECK(std::string{error.what()}.find("secret") == std::string::npos);
    }
    server.answer_with({});
    client.deliver(sample(), {});
    CHECK(server.mails().size() == 1);
}

TEST_CASE("smtp: no server at all", "[integration]")
{
    std::string address;
    {
        const SmtpServer gone;
        address = url(gone);
    }
    SmtpClient client{address};
    CHECK_THROWS_AS(client.deliver(sample(), {}), MailServerUnavailable);
}

TEST_CASE("smtp: a password is not sent without TLS to another machine", "[integration]")
{
    SmtpServer server;
    // Another name for this machine, which the client does not take for it.
    SmtpClient client{"smtp://ada:secret@0.0.0.0:" + std::to_string(server.port())};
    CHECK_THROWS_AS(client.deliver(sample(), {}), MailServerUnavailable);
    CHECK_FALSE(told(server, "AUTH"));
    CHECK_FALSE(told(server, "MAIL"));
}

TEST_CASE("smtp: a stop request breaks off what the server does not have yet", "[integration]")
{
    SmtpServer server;
    SmtpClient client{url(server)};
    std::stop_source stop;
    server.answer_with([&](const std::string& line) -> std::string {
        if (line.starts_with("MAIL")) stop.request_stop();
        return "";
    });
    try {
        client.deliver(sample(), stop.get_token());
        CHECK(server.mails().size() == 1); // it was quicker
    } catch (const MailServerUnavailable&) {
        CHECK(server.mails().empty());
    }
}
