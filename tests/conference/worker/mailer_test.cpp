// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "mail_fixture.hpp"

#include <escqrs/testing/catch2.hpp>

#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace conference;
using namespace conference::test;
using namespace std::chrono_literals;

TEST_CASE("mailer: every owed mail is sent once")
{
    Office office;
    TestTransport transport;
    auto mailer = office.mailer(transport);
    CHECK(mailer.send_due() == 0);
    office.owe("ada@example.org");
    office.owe("byron@example.org");
    CHECK(mailer.send_due() == 2);
    CHECK(mailer.send_due() == 0);
    office.clock.advance(24h);
    CHECK(mailer.send_due() == 0);
    CHECK(transport.taken == std::map<std::string, int>{{"ada@example.org", 1}, {"byron@example.org", 1}});
    CHECK(office.unsent() == 0);
}

TEST_CASE("mailer: a mail that fails is tried again, less and less often, and keeps no other back")
{
    Office office;
    TestTransport transport;
    transport.before = [](const mail::Message& mail) {
        if (mail.to == "full@example.org") throw mail::Error{"mailbox full"};
    };
    auto mailer = office.mailer(transport);
    office.owe("full@example.org");
    office.owe("ada@example.org");
    CHECK(mailer.send_due() == 1);
    CHECK(transport.taken.count("ada@example.org") == 1);

    std::vector<int> tries; // in each minute
    for (int minute = 0; minute < 60; ++minute) {
        office.log.clear();
        for (int second = 0; second < 60; ++second) {
            office.clock.advance(1s);
            CHECK(mailer.send_due() == 0);
        }
        tries.push_back(static_cast<int>(office.log.size()));
    }
    CHECK(tries.front() >= 4);
    CHECK(tries.front() < 10);
    int last_quarter = 0;
    for (auto minute = tries.begin() + 45; minute != tries.end(); ++minute) last_quarter += *minute;
    CHECK(last_quarter >= 2);
    CHECK(last_quarter <= 6);
    CHECK(office.database.query_integer("SELECT count(*) FROM outgoing_mail WHERE last_error = 'mailbox full'") == 1);

    transport.before = {};
    office.clock.advance(5min);
    CHECK(mailer.send_due() == 1);
    CHECK(office.unsent() == 0);
}

TEST_CASE("mailer: a mail that is refused is never tried again")
{
    Office office;
    TestTransport transport;
    transport.before = [](const mail::Message&) { throw mail::Refused{"550 no such mailbox"}; };
    auto mailer = office.mailer(transport);
    const auto event = office.owe("nobody@example.org");
    CHECK(mailer.send_due() == 0);
    CHECK(office.log ==
          std::vector<std::string>{"mail of event " + event + ", attempt 1: given up: 550 no such mailbox"});
    CHECK(office.unsent() == 0);
    transport.before = {};
    CHECK(office.send_all(mailer) == 0);
}

TEST_CASE("mailer: a mail that fails again and again is given up")
{
    Office office;
    TestTransport transport;
    transport.before = [](const mail::Message&) { throw mail::Error{"mailbox full"}; };
    auto mailer = office.mailer(transport, 3);
    office.owe("full@example.org");
    CHECK(office.send_all(mailer) == 0);
    CHECK(office.log.size() == 3);
    CHECK_THAT(office.log.back(), Catch::EndsWith(", attempt 3: given up: mailbox full"));
    CHECK(office.unsent() == 0);
}

TEST_CASE("mailer: a mail at which the server always breaks off keeps no other back")
{
    Office office;
    TestTransport transport;
    transport.before = [](const mail::Message& mail) {
        if (mail.to == "poison@example.org") throw mail::ServerUnavailable{"connection lost"};
    };
    auto mailer = office.mailer(transport);
    office.owe("poison@example.org");
    office.owe("ada@example.org");
    CHECK(mailer.send_due() == 1);
    office.owe("byron@example.org");
    CHECK(mailer.send_due() == 1);
    CHECK(office.unsent() == 1);
}

TEST_CASE("mailer: a recipient that is no address is never handed out, and keeps no other back")
{
    Office office;
    TestTransport transport;
    auto mailer = office.mailer(transport);
    office.owe("ada@example.org\r\nBcc: eve@example.com");
    transport.before = [](const mail::Message& mail) { mail::to_rfc5322(mail); };
    office.owe("byron@example.org");
    CHECK(mailer.send_due() == 1);
    CHECK(transport.taken == std::map<std::string, int>{{"byron@example.org", 1}});
    CHECK(office.unsent() == 0);
}

TEST_CASE("mailer: while no mail can be sent, two tell as much as a thousand, and none is lost")
{
    Office office;
    TestTransport transport;
    int calls = 0;
    transport.before = [&](const mail::Message&) {
        ++calls;
        throw mail::ServerUnavailable{"no server"};
    };
    auto mailer = office.mailer(transport);
    office.owe("ada@example.org");
    office.owe("byron@example.org");
    office.owe("lovelace@example.org");
    CHECK_THROWS_AS(mailer.send_due(), mail::ServerUnavailable);
    CHECK(calls == 2);
    transport.before = {};
    CHECK(mailer.send_due() == 1);
    office.clock.advance(1s);
    CHECK(mailer.send_due() == 2);
}

TEST_CASE("mailer: running, it waits for the server to come back, and stops when told")
{
    Office office;
    TestTransport transport;
    std::atomic<int> failures{5};
    transport.before = [&](const mail::Message&) {
        const int left = failures--;
        if (left == 3) throw 42; // NOLINT(hicpp-exception-baseclass): whatever a transport throws
        if (left > 0) throw mail::ServerUnavailable{"no server"};
    };
    auto mailer = office.mailer(transport);
    office.owe("ada@example.org");
    std::jthread thread{[&](std::stop_token stop) { mailer.run(std::move(stop)); }};
    while (true) {
        office.clock.await_waiting(1);
        {
            const std::scoped_lock lock{transport.mutex};
            if (!transport.taken.empty()) break;
        }
        office.clock.advance(5min);
    }
    thread.request_stop();
    thread.join();
    CHECK(transport.taken.at("ada@example.org") == 1);
    CHECK(office.log.size() == 5);
    CHECK(office.unsent() == 0);
}

TEST_CASE("mailer: one that dies with a mail in hand leaves it to others, after its time")
{
    Office office;
    TestTransport transport;
    MailOutbox dead{office.database};
    office.owe("ada@example.org");
    const auto claimed = dead.claim(office.clock.now(), transport.time_limit());
    REQUIRE(claimed);
    auto mailer = office.mailer(transport);
    CHECK(mailer.send_due() == 0);
    office.clock.advance(59s);
    CHECK(mailer.send_due() == 0);
    office.clock.advance(1s);

    SECTION("who sends it then is the only one")
    {
        CHECK(mailer.send_due() == 1);
        // It was only very slow, and now thinks it failed: that changes nothing any more.
        dead.put_off(*claimed, office.clock.now(), "too late");
        CHECK(mailer.send_due() == 0);
    }
    SECTION("a claim that is over cannot put the mail off for the next holder")
    {
        const auto second = dead.claim(office.clock.now(), 1min);
        REQUIRE(second);
        CHECK(second->attempt == 2);
        dead.put_off(*claimed, office.clock.now(), "too late");
        CHECK(mailer.send_due() == 0); // still held
    }
    SECTION("a mail that was sent late after all is not sent again")
    {
        dead.mark_sent(*claimed, office.clock.now());
        CHECK(mailer.send_due() == 0);
        CHECK(office.unsent() == 0);
    }
}

TEST_CASE("mailer: a clock that is set back hides no mail of one that died")
{
    Office office;
    TestTransport transport;
    office.owe("ada@example.org");
    MailOutbox dead{office.database};
    REQUIRE(dead.claim(office.clock.now(), transport.time_limit()));
    office.clock.set(office.clock.now() - 24h);
    auto mailer = office.mailer(transport);
    CHECK(mailer.send_due() == 1);
    CHECK(mailer.send_due() == 0);
    CHECK(office.unsent() == 0);
}

TEST_CASE("mailer: several racing for the same mails send each once")
{
    Office office;
    TestTransport transport;
    for (int count = 0; count < 60; ++count) office.owe("visitor" + std::to_string(count) + "@example.org");
    std::vector<std::jthread> threads;
    std::atomic<std::size_t> sent{0};
    for (int index = 0; index < 3; ++index) {
        threads.emplace_back([&] {
            escqrs::sqlite::Database own{office.path,
                                         read_model_schema,
                                         {.synchronous = escqrs::sqlite::Synchronous::normal, .busy_timeout = 30s}};
            auto mailer = office.mailer(transport, own);
            sent += mailer.send_due();
        });
    }
    threads.clear();
    CHECK(sent == 60);
    CHECK(transport.taken.size() == 60);
    for (const auto& [recipient, times] : transport.taken) CHECK(times == 1);
}
