// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "../read_model/read_model_fixture.hpp"
#include "worker/mail_outbox.hpp"
#include "worker/read_model_health.hpp"

#include <escqrs/testing/catch2.hpp>

#include <sqlite3.h>

#include <string>
#include <utility>
#include <vector>

using namespace conference;
using namespace conference::test;
using namespace std::chrono_literals;

namespace {

/// Mails that are owed, and the sender's side of them.
struct Outbox {
    TemporaryFolder folder;
    Publisher publisher{folder.file("read-model.db")};
    escqrs::sqlite::Database database{folder.file("read-model.db"), read_model_schema};
    escqrs::Timestamp now = moment(1000);
    std::vector<AttendeeId> given_up;
    MailOutbox outbox{database, 24h, {}, [this](const OwedMail& mail) { given_up.push_back(mail.attendee_id); }};

    AttendeeId owe(const std::string& recipient)
    {
        const auto id = new_attendee_id();
        publisher.publish(id, 1, AttendeeRegistered{"ada@example.org"});
        database.execute(
            "UPDATE outgoing_mail SET sent_at = 0 WHERE recipient = 'ada@example.org'"); // the registration's
        owe(id, 2, recipient);
        return id;
    }

    void owe(const AttendeeId& id, std::uint64_t version, const std::string& recipient)
    {
        publisher.publish(id, version, EmailChangeRequested{recipient, ConfirmationId{escqrs::random_uuid()}});
    }

    /// Of as many new registrations, in one transaction.
    void owe_many(std::size_t count, const std::string& recipient)
    {
        escqrs::sqlite::Transaction transaction{publisher.database};
        for (std::size_t index = 0; index < count; ++index) {
            const escqrs::EventContext context{.stream = {Attendee::category, escqrs::random_uuid()},
                                               .version = escqrs::StreamVersion{1},
                                               .position = escqrs::GlobalPosition{++publisher.position},
                                               .id = escqrs::EventId{escqrs::random_uuid()},
                                               .recorded_at = moment(1)};
            publisher.bus.publish(AttendeeRegistered{recipient}, context);
        }
        transaction.commit();
    }

    /// How many of SQLite's instructions a claim takes.
    int cost_of_claim()
    {
        int instructions = 0;
        const auto count = [](void* number) { return ++*static_cast<int*>(number), 0; };
        sqlite3_progress_handler(database.handle(), 1, count, &instructions);
        (void)outbox.claim(now, 1min);
        sqlite3_progress_handler(database.handle(), 0, nullptr, nullptr);
        return instructions;
    }

    /// Whose mails are sent now.
    std::vector<AttendeeId> send()
    {
        std::vector<AttendeeId> sent;
        while (const auto mail = outbox.claim(now, 1min)) {
            sent.push_back(mail->attendee_id);
            outbox.mark_sent(*mail, now);
        }
        return sent;
    }

    /// Tries what is due, in vain.
    std::size_t fail()
    {
        std::size_t failed = 0;
        while (const auto mail = outbox.claim(now, 1min)) {
            outbox.put_off(*mail, now + 5min, "mailbox full");
            ++failed;
        }
        return failed;
    }
};

} // namespace

TEST_CASE("mail outbox: of many that wait for a mailbox, the newest goes first")
{
    Outbox place;
    for (int count = 0; count < 100; ++count) place.owe("victim@example.org");
    CHECK(place.send().size() == 5);
    const auto owner = place.owe("Victim@example.org");
    CHECK(place.send().empty());
    place.now += 1h;
    CHECK(place.send().front() == owner);
}

TEST_CASE("mail outbox: a registration that had mails sent to a mailbox waits for one that had none")
{
    Outbox place;
    const auto often = place.owe("victim@example.org");
    std::uint64_t version = 2;
    for (; version < 6; ++version) {
        CHECK(place.send().size() == 1);
        place.owe(often, version + 1, "victim@example.org");
    }
    CHECK(place.send().size() == 1);
    const auto seldom = place.owe("victim@example.org");
    place.owe(often, version + 1, "victim@example.org"); // newer
    CHECK(place.send().empty());
    place.now += 1h;
    CHECK(place.send() == std::vector{seldom, often});
}

TEST_CASE(
    "mail outbox: a registration with two mails for a mailbox gets one, before one that has had none gets its own")
{
    Outbox place;
    const auto one = new_attendee_id();
    place.publisher.publish(one, 1, AttendeeRegistered{"victim@example.org"});
    const auto both = new_attendee_id();
    place.publisher.publish(both, 1, AttendeeRegistered{"victim@example.org"});
    place.owe(both, 2, "vic.tim@example.org");
    CHECK(place.send() == std::vector{both, one, both});
}

TEST_CASE("mail outbox: a registration that had to wait for its own limit is not passed over at the mailbox")
{
    Outbox place;
    const auto often = place.owe("victim@example.org");
    const auto busy = place.owe("other0@example.org");
    CHECK(place.send().size() == 2);
    for (std::uint64_t version = 3; version < 12; ++version) {
        place.owe(busy, version, "other" + std::to_string(version) + "@example.org");
        CHECK(place.send().size() == 1);
    }
    place.owe(busy, 12, "victim@example.org");
    CHECK(place.send().empty());
    place.owe(often, 3, "victim@example.org");
    place.now += 24h;
    CHECK(place.send() == std::vector{busy, often});
}

TEST_CASE("mail outbox: a claim takes no longer, however many mails wait for a mailbox, unless it holds them back")
{
    const auto costs = [](std::size_t waiting) {
        Outbox place;
        place.owe_many(waiting, "victim@example.org");
        std::vector<int> found;
        found.reserve(8);
        for (int mail = 0; mail < 5; ++mail) found.push_back(place.cost_of_claim());
        const double to_hold_back_one =
            place.cost_of_claim() / (static_cast<double>(waiting) - 5); // the mailbox has had its mails
        CHECK(place.send().empty());
        found.push_back(place.cost_of_claim());
        place.owe_many(1, "victim@example.org"); // is held back alone
        found.push_back(place.cost_of_claim());
        place.now += 1h;
        found.push_back(place.cost_of_claim());
        return std::pair{found, to_hold_back_one};
    };
    const auto [few, one_of_few] = costs(100);
    const auto [many, one_of_many] = costs(1500);
    CAPTURE(one_of_few, one_of_many);
    CHECK(one_of_many < 2 * one_of_few);
    for (std::size_t claim = 0; claim < few.size(); ++claim) {
        CAPTURE(claim, few[claim], many[claim]);
        CHECK(many[claim] < 2 * few[claim]);
    }
}

TEST_CASE("mail outbox: mails to a full mailbox are held back together, and keep no other mail waiting for long")
{
    Outbox place;
    place.owe_many(1500, "victim@example.org");
    CHECK(place.send().size() == 5);
    place.now += 1h;
    CHECK(place.send().size() == 5);
    const auto other = place.owe("other@example.org");
    CHECK(place.send() == std::vector{other});
    place.now += 48h;
    CHECK(place.send().size() == 5);
    CHECK(place.given_up.size() == 1485);
}

TEST_CASE("mail outbox: mails that fail again and again do not keep others from their turn")
{
    Outbox place;
    for (int count = 0; count < 5; ++count) place.owe("victim@example.org");
    CHECK(place.fail() == 5);
    place.owe("victim@example.org");
    for (int retry = 0; retry < 11; ++retry) {
        place.now += 5min;
        CHECK(place.fail() == 5);
    }
    place.now += 5min;
    CHECK(place.fail() == 6);
    place.now += 5min;
    CHECK(place.send().size() == 5); // now that the mailbox takes them, five an hour
}

TEST_CASE("mail outbox: a mail that has had its turn waits for the next one from then")
{
    Outbox place;
    place.owe("victim@example.org");
    place.now = moment(0) + 47h;
    CHECK(place.fail() == 1);
    place.now += 2h;
    for (int count = 0; count < 5; ++count) place.owe("victim@example.org");
    CHECK(place.send().size() == 5);
    CHECK(place.given_up.empty());
}

TEST_CASE("mail outbox: a mail whose turn does not come leaves a trace")
{
    Outbox place;
    for (int count = 0; count < 7; ++count) place.owe("victim@example.org");
    CHECK(place.send().size() == 5);
    place.now += 50h;
    for (int count = 0; count < 5; ++count) place.owe("victim@example.org");
    CHECK(place.send().size() == 5);
    CHECK(place.given_up.size() == 2);
    ReadModelHealth health{place.folder.file("read-model.db"), {}};
    CHECK(health.mails_given_up() == 2);
    CHECK(health.mails_waiting() == 0);
}

TEST_CASE("mail outbox: a clock that was far ahead once locks no mailbox")
{
    Outbox place;
    const auto right = place.now;
    place.now += 24h * 365;
    for (int count = 0; count < 5; ++count) place.owe("victim@example.org");
    CHECK(place.send().size() == 5);
    place.now = right;
    place.owe("victim@example.org");
    CHECK(place.send().size() == 1);
}
