// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "postgres/server.hpp"

#include "application/attendee_handlers.hpp"
#include "application/relay_place.hpp"
#include "application/storage.hpp"
#include "read_model/attendee_projection.hpp"
#include "read_model/attendee_queries.hpp"
#include "read_model/attendee_watcher.hpp"
#include "read_model/read_model_schema.hpp"
#include "worker/mail_outbox.hpp"
#include "worker/read_model_health.hpp"
#include "worker/read_model_rebuild.hpp"
#include "worker/worker_fixture.hpp"

#include <escqrs/core/id_generator.hpp>
#include <escqrs/events/event_bus.hpp>
#include <escqrs/testing/catch2.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <future>
#include <initializer_list>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

// The parts of the example that keep something in PostgreSQL, against a real server.
using namespace conference;
using namespace std::chrono_literals;
using escqrs::GlobalPosition;
using escqrs::StreamVersion;

namespace {

/// Of the server, with no tables of the example in it.
std::string emptied_database()
{
    const std::string address = postgres_test::Server::shared().address();
    escqrs::postgres::Connection{address}.execute("DROP SCHEMA IF EXISTS conference CASCADE");
    return address;
}

AttendeeId new_attendee_id() { return AttendeeId{escqrs::random_uuid()}; }

/// Publishes events as the worker does.
struct Publisher {
    explicit Publisher(const std::string& address) : database{address} {}

    template <class Event>
    escqrs::EventContext publish(const AttendeeId& id, std::uint64_t version, const Event& event)
    {
        const escqrs::EventContext context{.stream = {Attendee::category, id.value()},
                                           .version = StreamVersion{version},
                                           .position = GlobalPosition{++position},
                                           .id = escqrs::EventId{escqrs::random_uuid()},
                                           .recorded_at = recorded_at};
        read_model::Transaction transaction{database};
        bus.publish(event, context);
        transaction.commit();
        return context;
    }

    read_model::Database database;
    escqrs::EventBus bus;
    AttendeeProjection projection{bus, database};
    std::uint64_t position = 0;
    escqrs::Timestamp recorded_at{1'700'000'000'000'123us};
};

/// Registrations on a queue, and a worker that brings them to the server.
struct Registrations {
    explicit Registrations(std::initializer_list<const char*> emails)
    {
        test::History history;
        for (const char* const email : emails) history.register_attendee(email);
        queue.send(history.messages());
    }

    std::string address = emptied_database();
    escqrs::in_memory::MessageQueue queue;
    Publisher place{address};
    MessageWorker worker{queue, place.database, place.bus, test::Worker::options(escqrs::system_clock(), nullptr, 3)};
};

Settings with_store(const std::string& address)
{
    Settings settings;
    settings.store = {"postgres", address};
    return settings;
}

void end_sessions(const std::string& address, const std::string& condition)
{
    escqrs::postgres::Connection{address}.execute(
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND "
        "datname = current_database() AND " +
        condition);
}

} // namespace

TEST_CASE("conference over PostgreSQL: queries see what the events told")
{
    const std::string address = emptied_database();
    AttendeeQueries queries{address};
    Publisher publisher{address};
    const auto id = new_attendee_id();
    std::uint64_t revision = 0;

    publisher.publish(id, 1, AttendeeRegistered{"a@example.org"});
    publisher.publish(id, 2, EmailChangeRequested{"b@example.org", ConfirmationId{escqrs::random_uuid()}});
    auto view = queries.find(id).value();
    CHECK(view.registered);
    CHECK(view.email == "a@example.org");
    CHECK(view.pending_email == "b@example.org");
    CHECK(view.registered_at == escqrs::Timestamp{1'700'000'000'000'123us});
    CHECK(queries.changed_since(revision).size() == 1);

    publisher.publish(id, 3, EmailChangeConfirmed{"b@example.org"});
    publisher.publish(id, 4, AttendeeUnregistered{"it's \\ off"});
    view = queries.find(id).value();
    CHECK_FALSE(view.registered);
    CHECK(view.email == "b@example.org");
    CHECK_FALSE(view.pending_email.has_value());
    CHECK(view.reason == "it's \\ off");
    CHECK(view.version == StreamVersion{4});
    CHECK(view.position == GlobalPosition{4});
    CHECK(queries.progress().position == GlobalPosition{4});
    CHECK(queries.changed_since(revision) == std::vector{view});
    CHECK(queries.changed_since(revision).empty());
    CHECK_FALSE(queries.find(new_attendee_id()).has_value());
}

TEST_CASE("conference over PostgreSQL: pages in order of registration")
{
    const std::string address = emptied_database();
    AttendeeQueries queries{address};
    Publisher publisher{address};
    std::vector<AttendeeId> ids;
    for (int count = 0; count < 5; ++count) {
        ids.push_back(new_attendee_id());
        publisher.publish(ids.back(), 1, AttendeeRegistered{"a@example.org"});
    }
    std::vector<AttendeeId> found;
    std::optional<std::string> after = "";
    while (after) {
        auto page = queries.list(2, *after);
        for (const auto& view : page.attendees) found.push_back(view.id);
        after = page.next;
    }
    CHECK(found == ids);
}

TEST_CASE("conference over PostgreSQL: a watcher is notified of changes")
{
    const std::string address = emptied_database();
    AttendeeQueries queries{address};
    Publisher publisher{address};
    const auto id = new_attendee_id();
    std::promise<AttendeeView> told;
    AttendeeWatcher watcher{queries};
    const auto watch = watcher.watch(id, [&](const AttendeeView& view) { told.set_value(view); });
    publisher.publish(id, 1, AttendeeRegistered{"a@example.org"});
    auto future = told.get_future();
    REQUIRE(future.wait_for(30s) == std::future_status::ready);
    CHECK(future.get().email == "a@example.org");
}

TEST_CASE("conference over PostgreSQL: a watcher looks at a restored read model, whatever its revision")
{
    const std::string address = emptied_database();
    AttendeeQueries queries{address};
    Publisher publisher{address};
    const auto id = new_attendee_id();
    const auto other = new_attendee_id();
    publisher.publish(id, 1, AttendeeRegistered{"a@example.org"});
    std::promise<AttendeeView> told;
    std::promise<AttendeeView> told_other;
    AttendeeWatcher watcher{queries};
    const auto watch = watcher.watch(id, [&](const AttendeeView& view) { told.set_value(view); });
    const auto watch2 = watcher.watch(other, [&](const AttendeeView& view) { told_other.set_value(view); });
    publisher.publish(other, 1, AttendeeRegistered{"b@example.org"});
    REQUIRE(told_other.get_future().wait_for(30s) == std::future_status::ready); // so its revision is known
    escqrs::postgres::Connection{address}.execute(
        "BEGIN; SET LOCAL search_path = conference; CREATE TABLE restored AS TABLE progress; DROP TABLE progress;"
        " ALTER TABLE restored RENAME TO progress; UPDATE progress SET revision = 100;"
        " UPDATE attendee SET version = 7 WHERE email = 'a@example.org'; COMMIT");
    auto future = told.get_future();
    REQUIRE(future.wait_for(30s) == std::future_status::ready);
    CHECK(future.get().version == StreamVersion{7});
}

TEST_CASE("conference over PostgreSQL: a lost connection costs the queries one failure")
{
    const std::string address = emptied_database();
    AttendeeQueries queries{address};
    CHECK(queries.revision() == 0);
    end_sessions(address, "backend_type = 'client backend'");
    CHECK_THROWS_AS(queries.revision(), escqrs::StoreError);
    CHECK(queries.revision() == 0);
}

TEST_CASE("conference over PostgreSQL: each mail is claimed by one of many mailers")
{
    const std::string address = emptied_database();
    Publisher publisher{address};
    constexpr std::uint64_t mails = 60;
    for (std::uint64_t count = 0; count < mails / 2; ++count) {
        const auto id = new_attendee_id();
        const std::string at = std::to_string(count) + "@example.org";
        publisher.publish(id, 1, AttendeeRegistered{"a" + at});
        publisher.publish(id, 2, EmailChangeRequested{"b" + at, ConfirmationId{escqrs::random_uuid()}});
    }
    const escqrs::Timestamp now{1'700'000'000s};
    std::mutex mutex;
    std::multiset<std::string> claimed;
    {
        std::vector<std::jthread> mailers;
        for (int count = 0; count < 4; ++count) {
            mailers.emplace_back([&] {
                read_model::Database database{address};
                MailOutbox outbox{database};
                while (const auto mail = outbox.claim(now, 60s)) {
                    const std::scoped_lock lock{mutex};
                    claimed.insert(to_string(mail->event_id));
                }
            });
        }
    }
    CHECK(claimed.size() == mails);
    CHECK(std::set<std::string>(claimed.begin(), claimed.end()).size() == mails);

    read_model::Database database{address};
    MailOutbox outbox{database};
    const auto again = outbox.claim(now + 61s, 60s).value();
    CHECK(again.attempt == 2);
    CHECK(again.recipient.starts_with(again.confirmation_id ? "b" : "a"));
    outbox.mark_sent(again, now);
    ReadModelHealth health{address, {}};
    CHECK(health.mails_waiting() == mails - 1);
    CHECK(health.problem() == std::nullopt);
}

TEST_CASE("conference over PostgreSQL: many mailers send no more mails to one mailbox than the limit allows")
{
    const std::string address = emptied_database();
    Publisher publisher{address};
    for (std::uint64_t count = 0; count < 20; ++count) {
        const auto id = new_attendee_id();
        publisher.publish(id, 1, AttendeeRegistered{"b@example.org"});
        publisher.publish(id, 2, EmailChangeRequested{"B@example.org", ConfirmationId{escqrs::random_uuid()}});
    }
    const escqrs::Timestamp now{1'700'000'000s};
    std::atomic<int> claimed{0};
    const auto claim_all = [&](escqrs::Timestamp at) {
        std::vector<std::jthread> mailers;
        for (int count = 0; count < 4; ++count) {
            mailers.emplace_back([&, at] {
                read_model::Database database{address};
                MailOutbox outbox{database};
                while (const auto mail = outbox.claim(at, 24h)) ++claimed;
            });
        }
    };
    claim_all(now);
    CHECK(claimed == 5);
    claim_all(now + 1h);
    CHECK(claimed == 10);
}

TEST_CASE("conference over PostgreSQL: mails to a full mailbox wait together, and are given up together")
{
    const std::string address = emptied_database();
    Publisher publisher{address};
    const auto owe = [&] {
        const auto id = new_attendee_id();
        publisher.publish(id, 1, AttendeeRegistered{"b@example.org"});
        return id;
    };
    for (int count = 0; count < 230; ++count) owe();
    std::size_t given_up = 0;
    read_model::Database database{address};
    MailOutbox outbox{database, 24h, {}, [&](const OwedMail&) { ++given_up; }};
    const auto send = [&](escqrs::Timestamp now) {
        std::vector<AttendeeId> sent;
        while (const auto mail = outbox.claim(now, 60s)) {
            sent.push_back(mail->attendee_id);
            outbox.mark_sent(*mail, now);
        }
        return sent;
    };
    const escqrs::Timestamp now{1'700'000'001s};
    CHECK(send(now).size() == 5);
    publisher.recorded_at = now;
    const auto newest = owe();
    CHECK(send(now).empty());
    const auto sent = send(now + 1h);
    REQUIRE(sent.size() == 5);
    CHECK(sent.front() == newest);
    CHECK(given_up == 0);
    CHECK(send(now + 49h).size() == 5);
    CHECK(given_up == 216);
}

TEST_CASE("conference over PostgreSQL: a read model of the first version is upgraded with the mails it owes")
{
    const std::string address = emptied_database();
    const std::string id = to_string(new_attendee_id());
    {
        escqrs::postgres::Connection connection{address};
        escqrs::postgres::migrate(connection, "conference", {read_model_tables.name, read_model_tables.steps.first(1)});
        connection.execute(
            "INSERT INTO conference.outgoing_mail (event_id, recipient, attendee_id, confirmation_id, created_at)"
            " VALUES ('" +
            id + "', 'B@example.org', '" + id + "', '" + id + "', '2023-11-14')");
    }
    read_model::Database database{address};
    MailOutbox outbox{database};
    CHECK(outbox.claim(escqrs::Timestamp{1'700'000'000s}, 60s).value().recipient == "B@example.org");
    CHECK(AttendeeQueries{address}.confirmation_request(ConfirmationId::parse(id)).value().attendee_id ==
          AttendeeId::parse(id));
}

TEST_CASE("conference over PostgreSQL: streams advance by one version, and a failed part leaves no trace")
{
    const std::string address = emptied_database();
    using escqrs::Advance;
    read_model::Database database{address};
    read_model::StreamCheckpoint checkpoint{database, "test"};
    const escqrs::StreamId stream{"attendee", escqrs::random_uuid()};
    read_model::Transaction transaction{database};
    CHECK(checkpoint.advance(stream, StreamVersion{2}) == Advance::gap);
    CHECK(checkpoint.advance(stream, StreamVersion{1}) == Advance::apply);
    CHECK(checkpoint.advance(stream, StreamVersion{1}) == Advance::duplicate);
    {
        const read_model::Savepoint part{database};
        CHECK(checkpoint.advance(stream, StreamVersion{2}) == Advance::apply);
    }
    CHECK(checkpoint.version_of(stream) == StreamVersion{1});
}

TEST_CASE("conference over PostgreSQL: a statement that is refused undoes its message only")
{
    Registrations given{"ada@example.org", "byron@example.org", "babbage@example.org"};
    {
        const auto connection = given.place.bus.subscribe<AttendeeRegistered>([&](const AttendeeRegistered& event) {
            if (event.email == "byron@example.org") read_model::Statement{given.place.database, "SELECT 1 / 0"}.run();
        });
        CHECK(given.worker.work_once() == BatchResult{3, 2, 1, 0});
    }
    AttendeeQueries queries{given.address};
    CHECK(queries.list(10, {}).attendees.size() == 2);
    CHECK(given.worker.work_once() == BatchResult{1, 1, 0, 0});
    CHECK(queries.list(10, {}).attendees.size() == 3);
}

TEST_CASE("conference over PostgreSQL: an error that is swallowed undoes its message only")
{
    Registrations given{"ada@example.org", "byron@example.org", "babbage@example.org"};
    const std::string failing = GENERATE("ada@example.org", "byron@example.org", "babbage@example.org");
    CAPTURE(failing);
    {
        const auto connection = given.place.bus.subscribe<AttendeeRegistered>([&](const AttendeeRegistered& event) {
            if (event.email != failing) return;
            CHECK_THROWS_AS((read_model::Statement{given.place.database, "SELECT 1 / 0"}.run()), escqrs::StoreError);
        });
        CHECK(given.worker.work_once() == BatchResult{3, 2, 1, 0});
    }
    AttendeeQueries queries{given.address};
    CHECK(queries.list(10, {}).attendees.size() == 2);
    CHECK(given.worker.work_once() == BatchResult{1, 1, 0, 0});
}

TEST_CASE("conference over PostgreSQL: of two subscribers that fail, the second one's failure is no outage")
{
    Registrations given{"ada@example.org"};
    const auto divide = [&](const AttendeeRegistered&) {
        read_model::Statement{given.place.database, "SELECT 1 / 0"}.run();
    };
    const auto first = given.place.bus.subscribe<AttendeeRegistered>(divide);
    const auto second = given.place.bus.subscribe<AttendeeRegistered>(divide);
    CHECK(given.worker.work_once() == BatchResult{1, 0, 1, 0});
}

TEST_CASE("conference over PostgreSQL: values that cannot be are no outage")
{
    const std::string address = emptied_database();
    read_model::Database database{address};
    const auto refused = [&](const std::string& sql) {
        try {
            read_model::Statement{database, sql}.run();
        } catch (const escqrs::StoreError& error) {
            return escqrs::classify(error) == escqrs::FailureKind::refused;
        }
        throw std::logic_error{"expected a failure"};
    };
    CHECK(refused("INSERT INTO progress VALUES (1, 0, 0)"));
    CHECK(refused("SELECT 1 / 0"));
    CHECK_FALSE(refused("SELECT 1 FROM nowhere"));
    CHECK_FALSE(refused("SELECT pg_terminate_backend(pg_backend_pid())"));
}

TEST_CASE("conference over PostgreSQL: one process relays, and another takes over where it was")
{
    const std::string address = emptied_database();
    auto first = open_relay_place(with_store(address));
    auto second = open_relay_place(with_store(address));
    CHECK(first->load() == GlobalPosition{});
    CHECK_THROWS_AS(second->load(), RelayedElsewhere);
    CHECK_THROWS_AS(second->save(GlobalPosition{9}), RelayedElsewhere);
    first->save(GlobalPosition{5});
    CHECK_THROWS_AS(second->load(), RelayedElsewhere);
    CHECK(second->position() == GlobalPosition{5}); // who stands by knows how far the other is
    escqrs::ParkedStream parked{.stream = escqrs::StreamId::parse("attendee-1")};
    parked.version = parked.last = escqrs::StreamVersion{2};
    parked.position = GlobalPosition{4};
    parked.events = 1;
    first->put(parked);
    CHECK_THROWS_AS(second->put(parked), RelayedElsewhere);
    CHECK_THROWS_AS(second->remove(parked.stream), RelayedElsewhere);

    SECTION("when it has ended")
    {
        first.reset();
        CHECK(second->load() == GlobalPosition{5});
    }
    SECTION("when it was paused for too long, and does not know")
    {
        escqrs::postgres::Connection{address}.execute("UPDATE conference.leases SET expires_at = '-infinity'");
        CHECK(second->load() == GlobalPosition{5});
        second->save(GlobalPosition{7});
        CHECK_THROWS_AS(first->save(GlobalPosition{6}), RelayedElsewhere);
        CHECK_THROWS_AS(first->load(), RelayedElsewhere);
        CHECK_THROWS_AS(first->save(GlobalPosition{6}), RelayedElsewhere);
        CHECK_THROWS_AS(first->remove(parked.stream), RelayedElsewhere);
        CHECK(second->all() == std::vector{parked});
        second->remove(parked.stream);
        CHECK(second->is_empty());
        CHECK(second->load() == GlobalPosition{7});
    }
    SECTION("but not when it has only lost its connection")
    {
        end_sessions(address, "backend_type = 'client backend'");
        CHECK_THROWS_AS(first->load(), escqrs::postgres::ConnectionLost);
        CHECK(first->load() == GlobalPosition{5});
        CHECK_THROWS_AS(second->load(), escqrs::postgres::ConnectionLost);
        CHECK_THROWS_AS(second->load(), RelayedElsewhere);
    }
}

TEST_CASE("conference over PostgreSQL: a log that is only read costs no connection that waits for news")
{
    const std::string address = emptied_database();
    const auto settings = with_store(address);
    read_model::Database server{address};
    const auto listening = [&] {
        return server.ref().query_integer(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND "
            "query LIKE 'LISTEN %'");
    };
    const auto listening_in_the_end = [&](std::int64_t expected) {
        const auto deadline = std::chrono::steady_clock::now() + 20s;
        while (listening() != expected && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
        return listening();
    };
    REQUIRE(listening_in_the_end(0) == 0); // those of other tests have ended
    auto read = open_existing_event_store(settings);
    std::optional written{open_event_store(settings)};
    CHECK(read.head() == written->head());
    CHECK(listening_in_the_end(1) == 1);
    written.reset();
    CHECK(listening_in_the_end(0) == 0);
}

TEST_CASE("conference over PostgreSQL: a read model is built anew while another worker runs")
{
    Registrations registrations{"a@example.org", "b@example.org"};
    test::History history;
    for (int count = 0; count < 20; ++count) history.request_email(history.register_attendee(), "c@example.org");
    auto log = history.log();
    Publisher other{registrations.address};
    std::stop_source stop;
    CHECK_FALSE(rebuild_read_model(log, other.database, other.bus, stop.get_token(), [&](std::uint64_t events) {
        if (events == 30) stop.request_stop();
    }));
    CHECK(AttendeeQueries{registrations.address}.progress().position == GlobalPosition{});

    std::future<BatchResult> batch;
    const auto events = rebuild_read_model(log, other.database, other.bus, {}, [&](std::uint64_t count) {
        if (count != 1) return;
        registrations.queue.send(history.messages());
        batch = std::async(std::launch::async, [&] { return registrations.worker.work_once(); }); // waits for the end
    });
    CHECK(events == 40);
    CHECK(batch.get().completed == 42); // of which two are not of this log
    AttendeeQueries queries{registrations.address};
    std::uint64_t revision = 0;
    CHECK(queries.changed_since(revision).size() == 22);
    CHECK(read_model::Progress{other.database}.figures().events == 42);
    CHECK(read_model::Database{registrations.address}.ref().query_integer(
              "SELECT count(*) FROM outgoing_mail WHERE given_up_at IS NULL") == 2); // of what is not of this log
}

TEST_CASE("conference over PostgreSQL: positions without an event are no lag")
{
    const Settings settings = with_store(emptied_database());
    escqrs::postgres::Connection connection{settings.store.rest};
    connection.execute("DROP SCHEMA IF EXISTS escqrs CASCADE");
    auto store = open_event_store(settings);
    AttendeeRepository attendees{store};
    const auto register_attendee = [&] {
        auto attendee = Attendee::register_with(new_attendee_id(), Email::parse("ada@example.org"));
        attendees.save(attendee);
    };
    const auto leave_hole = [&] { connection.execute("SELECT nextval('escqrs.positions')"); };
    register_attendee();
    leave_hole();
    register_attendee();
    {
        const auto place = open_relay_place(settings);
        (void)place->load();
        place->save(store.head());
    }
    {
        const auto place = open_relay_place(settings); // of a program that has not counted before
        place->count_holes(store, {});
        CHECK(place->holes() == 1);
        leave_hole();
        leave_hole();
        register_attendee();
        for (int times = 0; times < 2; ++times) place->pass(store.head()); // shown again
        place->save(store.head());
        CHECK(place->holes() == 3);
        CHECK(store.head().value() - place->holes() == 3);
    }
    const auto place = open_relay_place(settings);
    (void)place->load();
    CHECK(place->holes() == 3);
    const auto standby = open_relay_place(settings);
    CHECK_THROWS_AS(standby->load(), RelayedElsewhere);
    CHECK(standby->holes() == 3);
}
