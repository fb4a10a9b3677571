// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "mail_fixture.hpp"

#include <escqrs/testing/catch2.hpp>

#include <stdexcept>
#include <string>
#include <vector>

using namespace conference;
using namespace conference::test;
using namespace std::chrono_literals;

TEST_CASE("mail limits: a mailbox gets five mails an hour, however its address is spelt, and no other waits")
{
    Office office;
    TestTransport transport;
    auto mailer = office.mailer(transport);
    for (int count = 0; count < 4; ++count) {
        office.owe("victim@example.org");
        office.owe("Victim@Example.ORG");
        office.owe("v.ictim+" + std::to_string(count) + "@example.org");
    }
    office.owe("ada@example.org");
    const auto to_victim = [&] {
        int mails = 0;
        for (const auto& [recipient, times] : transport.taken) mails += recipient == "ada@example.org" ? 0 : times;
        return mails;
    };
    CHECK(mailer.send_due() == 6);
    CHECK(to_victim() == 5);
    CHECK(transport.taken.at("ada@example.org") == 1);
    office.clock.advance(59min);
    CHECK(mailer.send_due() == 0);
    office.clock.advance(1min);
    CHECK(mailer.send_due() == 5);
    CHECK(office.send_all(mailer) == 2); // each of them was another registration's last request
    CHECK(office.unsent() == 0);
}

TEST_CASE("mail limits: they hold for all mailers together, also for mails that are being sent")
{
    Office office;
    TestTransport transport;
    for (int count = 0; count < 8; ++count) office.owe("victim@example.org");
    MailOutbox outbox{office.database};
    int claimed = 0;
    while (outbox.claim(office.clock.now(), transport.time_limit())) ++claimed;
    CHECK(claimed == 5);
    auto mailer = office.mailer(transport);
    CHECK(mailer.send_due() == 0);
}

TEST_CASE("mail limits: a mail that fails is tried again in its own turn")
{
    Office office;
    TestTransport transport;
    transport.before = [](const mail::Message&) { throw mail::Error{"try again later"}; };
    for (int count = 0; count < 6; ++count) office.owe("victim@example.org");
    auto mailer = office.mailer(transport);
    CHECK(mailer.send_due() == 0);
    CHECK(office.log.size() == 5);
    transport.before = {};
    office.clock.advance(1min);
    CHECK(mailer.send_due() == 5);
}

TEST_CASE(
    "mail limits: a registration has ten mails sent in a day, to whatever addresses, and the last one in its turn")
{
    Office office;
    TestTransport transport;
    auto mailer = office.mailer(transport);
    const auto id = office.register_attendee();
    std::size_t sent = 0;
    for (std::uint64_t version = 2; version < 32; ++version) {
        office.owe(id, version, "stranger" + std::to_string(version) + "@example.org");
        sent += mailer.send_due();
    }
    CHECK(sent == 10);
    CHECK(office.unsent() == 1);
    office.clock.advance(23h);
    CHECK(mailer.send_due() == 0);
    office.clock.advance(59min);
    CHECK(mailer.send_due() == 0);
    office.clock.advance(1min);
    CHECK(mailer.send_due() == 1);
    CHECK(transport.taken.count("stranger31@example.org") == 1);
}

TEST_CASE("mail limits: a mail whose turn does not come within two days is given up")
{
    Office office;
    TestTransport transport;
    auto mailer = office.mailer(transport);
    for (int count = 0; count < 300; ++count) office.owe("victim@example.org");
    CHECK(office.send_all(mailer) <= 5 * 49);
    CHECK(office.unsent() == 0);
}

TEST_CASE("mail limits: a clock that is set back holds no mail back for longer than the limit")
{
    Office office;
    TestTransport transport;
    auto mailer = office.mailer(transport);
    for (int count = 0; count < 6; ++count) office.owe("victim@example.org");
    CHECK(mailer.send_due() == 5);
    office.clock.set(office.clock.now() - 10min);
    CHECK(mailer.send_due() == 0);
    office.clock.advance(70min);
    CHECK(mailer.send_due() == 1);
}

TEST_CASE("mail: the key to a registration goes to its address, once, and within the same limits")
{
    Office office;
    TestTransport transport;
    auto mailer = office.mailer(transport);
    const auto id = office.register_now("ada@example.org");
    office.owe(id, 2, "first@example.org");
    office.owe(id, 3, "second@example.org"); // makes the first request useless, not the key
    CHECK(mailer.send_due() == 2);
    CHECK(transport.taken == std::map<std::string, int>{{"ada@example.org", 1}, {"second@example.org", 1}});
    office.clock.advance(24h);
    CHECK(mailer.send_due() == 0);

    SECTION("a mailbox gets five of both kinds in an hour")
    {
        for (int count = 0; count < 4; ++count) office.register_now("victim@example.org");
        for (int count = 0; count < 4; ++count) office.owe("victim@example.org");
        CHECK(mailer.send_due() == 5);
    }
    SECTION("it is one of the ten that a registration has in a day")
    {
        const auto other = office.register_now("byron@example.org");
        std::size_t sent = mailer.send_due();
        for (std::uint64_t version = 2; version < 14; ++version) {
            office.owe(other, version, "stranger" + std::to_string(version) + "@example.org");
            sent += mailer.send_due();
        }
        CHECK(sent == 10);
    }
    SECTION("a registration that has ended, or has another address, needs none to the old one")
    {
        office.publisher.publish(office.register_now("ended@example.org"), 2, AttendeeUnregistered{"ill"});
        const auto moved = office.register_now("old@example.org");
        office.owe(moved, 2, "new@example.org");
        office.publisher.publish(moved, 3, EmailChangeConfirmed{"new@example.org"});
        CHECK(mailer.send_due() == 0);
        CHECK(office.unsent() == 0);
    }
    SECTION("none is sent for a registration that is replayed")
    {
        office.register_attendee();
        CHECK(mailer.send_due() == 0);
    }
}

TEST_CASE("mail: one whose link would confirm nothing any more is not sent")
{
    Office office;
    TestTransport transport;
    auto mailer = office.mailer(transport);
    const auto id = office.register_attendee();
    office.owe(id, 2, "first@example.org");
    SECTION("another address was asked for")
    {
        office.owe(id, 3, "second@example.org");
        CHECK(mailer.send_due() == 1);
        CHECK(transport.taken == std::map<std::string, int>{{"second@example.org", 1}});
    }
    SECTION("it was confirmed")
    {
        office.publisher.publish(id, 3, EmailChangeConfirmed{"first@example.org"});
        CHECK(mailer.send_due() == 0);
    }
    SECTION("the seat was given back")
    {
        office.publisher.publish(id, 3, AttendeeUnregistered{"ill"});
        CHECK(mailer.send_due() == 0);
    }
    CHECK(office.unsent() == 0);
}

TEST_CASE("mail: a read model of the first version is upgraded with the mails it owes, and what it has sent counts")
{
    const TemporaryFolder folder;
    const std::string path = folder.file("read-model.db");
    {
        auto first = read_model_schema;
        first.version = 1;
        first.upgrades = {};
        escqrs::sqlite::Database database{path, first};
        for (int mail = 0; mail < 10; ++mail) {
            const std::string id = to_string(new_attendee_id());
            database.execute(
                ("INSERT INTO outgoing_mail (event_id, recipient, attendee_id, confirmation_id, created_at,"
                 " sent_at) VALUES ('" +
                 id + "', 'Ada@example.org', '" + id + "', '" + id + "', 0, " + (mail < 3 ? "1000000" : "NULL") + ")")
                    .c_str());
        }
    }
    escqrs::sqlite::Database database{path, read_model_schema};
    MailOutbox outbox{database};
    int claimed = 0;
    while (outbox.claim(escqrs::Timestamp{2s}, 1min)) ++claimed;
    CHECK(claimed == 2);
}
