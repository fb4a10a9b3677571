// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "../read_model/read_model_fixture.hpp"
#include "worker/mail_outbox.hpp"
#include "worker/read_model_health.hpp"

#include <escqrs/testing/catch2.hpp>

#include <string>
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
        database.execute("UPDATE outgoing_mail SET sent_at = 0 WHERE confirmation_id = ''"); // of the registration
        owe(id, 2, recipient);
        return id;
    }

    void owe(const AttendeeId& id, std::uint64_t version, const std::string& recipient)
    {
        publisher.publish(id, version, EmailChangeRequested{recipient, ConfirmationId{escqrs::random_uuid()}});
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
