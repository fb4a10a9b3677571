// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "web/measured_event_store.hpp"

#include "support/damaged_pages.hpp"
#include "support/temporary_folder.hpp"

#include <escqrs/in_memory/event_store.hpp>
#include <escqrs/sqlite/database.hpp>
#include <escqrs/sqlite/event_store.hpp>
#include <escqrs/testing/catch2.hpp>
#include <escqrs/testing/event_store_conformance.hpp>

#include <escqrs/testing/manual_clock.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

namespace {

using conference::web::MeasuredEventStore;

struct Fixture {
    static constexpr bool is_durable = false;

    std::unique_ptr<MeasuredEventStore> open(escqrs::Clock& clock)
    {
        const escqrs::AnyEventStore store{
            std::make_shared<escqrs::in_memory::EventStore>(escqrs::in_memory::EventStoreOptions{&clock})};
        return std::make_unique<MeasuredEventStore>(store, metrics);
    }

    http::Metrics metrics;
};

} // namespace

TEST_CASE("a store says why its last append failed until something can be written")
{
    struct Full : escqrs::in_memory::EventStore {
        escqrs::AppendResult append(const escqrs::StreamId& stream, escqrs::ExpectedVersion expected,
                                    std::span<const escqrs::NewEvent> events)
        {
            if (is_full) throw escqrs::StoreError{"disk full"};
            return EventStore::append(stream, expected, events);
        }
        void write_snapshot(const escqrs::StreamId& stream, const escqrs::Snapshot& snapshot)
        {
            ++writes;
            if (is_full) throw escqrs::StoreError{"disk full"};
            EventStore::write_snapshot(stream, snapshot);
        }
        bool is_full = true;
        int writes = 0;
    };
    const auto full = std::make_shared<Full>();
    http::Metrics metrics;
    escqrs::testing::ManualClock clock;
    MeasuredEventStore store{escqrs::AnyEventStore{full}, metrics, clock};
    const escqrs::StreamId stream{"attendee", escqrs::random_uuid()};
    const auto append = [&](escqrs::ExpectedVersion expected = escqrs::ExpectedVersion::no_stream()) {
        escqrs::NewEvent event;
        event.id = escqrs::EventId{escqrs::random_uuid()};
        event.type = "Happened";
        store.append(stream, expected, {&event, 1});
    };
    CHECK_FALSE(store.problem());
    CHECK_THROWS_AS(append(), escqrs::StoreError);
    CHECK(store.problem() == "the last append failed: disk full");

    SECTION("or for ten seconds, while the log is empty")
    {
        clock.advance(std::chrono::seconds{10});
        CHECK(store.problem());
        clock.advance(std::chrono::seconds{1});
        CHECK_FALSE(store.problem());
        CHECK_THROWS_AS(append(), escqrs::StoreError);
        CHECK(store.problem());
    }
    SECTION("by an append")
    {
        full->is_full = false;
        append();
        CHECK_FALSE(store.problem());
        CHECK_THROWS_AS(append(), escqrs::ConcurrencyError); // the store is well
        CHECK_FALSE(store.problem());
    }
    SECTION("or by a write that is tried once a second, and changes nothing")
    {
        full->is_full = false;
        append();
        full->is_full = true;
        CHECK_THROWS_AS(append(escqrs::ExpectedVersion::any()), escqrs::StoreError);
        for (int seconds = 0; seconds < 100; ++seconds) {
            REQUIRE(store.problem() == "the last append failed: disk full");
            REQUIRE(full->writes == seconds);
            clock.advance(std::chrono::seconds{1});
        }
        const std::string before = "a snapshot";
        full->EventStore::write_snapshot(stream,
                                         {escqrs::StreamVersion{1}, 7, "text", std::as_bytes(std::span{before})});
        full->is_full = false;
        CHECK_FALSE(store.problem());
        CHECK_FALSE(store.problem());
        CHECK(full->writes == 101); // with the one that puts the snapshot back
        std::string after;
        CHECK(store.read_snapshot(stream, [&](const escqrs::Snapshot& snapshot) {
            CHECK(snapshot.schema_version == 7);
            after.assign(reinterpret_cast<const char*>(snapshot.payload.data()), snapshot.payload.size()); // NOLINT
        }));
        CHECK(after == before);
        CHECK(store.head() == escqrs::GlobalPosition{1});
    }
}

TEST_CASE("what is tried after a failed append is written to the file")
{
    struct Failing : escqrs::sqlite::EventStore {
        using EventStore::EventStore;
        escqrs::AppendResult append(const escqrs::StreamId& stream, escqrs::ExpectedVersion expected,
                                    std::span<const escqrs::NewEvent> events)
        {
            if (std::exchange(fails, true)) throw escqrs::StoreError{"disk full"};
            return EventStore::append(stream, expected, events);
        }
        bool fails = false;
    };
    const TemporaryFolder folder;
    http::Metrics metrics;
    escqrs::testing::ManualClock clock;
    MeasuredEventStore store{escqrs::AnyEventStore{std::make_shared<Failing>(folder.file("events.db"))}, metrics,
                             clock};
    const auto append = [&] {
        escqrs::NewEvent event;
        event.id = escqrs::EventId{escqrs::random_uuid()};
        event.type = "Happened";
        store.append({"attendee", escqrs::random_uuid()}, escqrs::ExpectedVersion::any(), {&event, 1});
    };
    escqrs::sqlite::Database other{folder.file("events.db")};
    escqrs::sqlite::Statement select_version{other, "PRAGMA data_version"}; // another one after each write by others
    const auto version = [&] {
        auto row = select_version.query();
        REQUIRE(row.next());
        return row.integer(0);
    };
    append();
    for (int count = 0; count < 3; ++count) {
        CHECK_THROWS_AS(append(), escqrs::StoreError);
        clock.advance(std::chrono::seconds{1});
        const auto before = version();
        CHECK_FALSE(store.problem());
        CHECK(version() != before);
    }
}

TEST_CASE("a store with damaged pages says so once they were read, and until they can be read again")
{
    const TemporaryFolder folder;
    const std::string path = folder.file("events.db");
    const auto open = [&] {
        return escqrs::AnyEventStore{std::make_shared<escqrs::sqlite::EventStore>(
            path, escqrs::sqlite::EventStoreOptions{.synchronous = escqrs::sqlite::Synchronous::normal})};
    };
    const auto append = [](auto& store, const escqrs::StreamId& stream, const std::string& text) {
        escqrs::NewEvent event;
        event.id = escqrs::EventId{escqrs::random_uuid()};
        event.type = "Happened";
        event.payload = std::as_bytes(std::span{text});
        store.append(stream, escqrs::ExpectedVersion::any(), {&event, 1});
    };
    const escqrs::StreamId damaged{"attendee", escqrs::random_uuid()};
    {
        auto store = open();
        for (int count = 0; count < 30; ++count) {
            append(store, count == 10 ? damaged : escqrs::StreamId{"attendee", escqrs::random_uuid()},
                   std::string(1000, static_cast<char>('A' + count)));
        }
    }
    const DamagedPages pages{path, std::string(1000, 'K')};
    REQUIRE(pages.count() == 1);
    http::Metrics metrics;
    MeasuredEventStore store{open(), metrics};
    const auto ignore = [](const escqrs::RecordedEvent&) { return true; };
    CHECK(store.head() == escqrs::GlobalPosition{30});
    CHECK_FALSE(store.problem());
    SECTION("of a stream")
    {
        CHECK_THROWS_AS(store.read_stream(damaged, escqrs::StreamVersion{1}, ignore), escqrs::StoreError);
    }
    SECTION("of the log") { CHECK_THROWS_AS(store.read_log({}, 100, ignore), escqrs::StoreError); }
    SECTION("of a part of the log")
    {
        const escqrs::EventFilter filter{.categories = {"attendee"}};
        CHECK_THROWS_AS(store.read_log({}, 100, filter, ignore), escqrs::StoreError);
    }
    const auto problem = store.problem();
    REQUIRE(problem);
    CHECK(problem->find("malformed") != std::string::npos);
    store.read_log(escqrs::GlobalPosition{29}, 1, ignore); // others can be read
    CHECK(store.problem());
    pages.repair();
    append(store, damaged, "another"); // SQLite reads its pages anew after a write
    CHECK_FALSE(store.problem());
}

TEST_CASE("a store says which read fails, of whatever kind, and what a reader throws is no such failure")
{
    struct Damaged : escqrs::in_memory::EventStore {
        bool read_snapshot(const escqrs::StreamId& stream, escqrs::SnapshotSink sink)
        {
            if (is_damaged) throw escqrs::StoreError{"damaged"};
            return EventStore::read_snapshot(stream, sink);
        }
        std::optional<escqrs::EventLocation> locate(escqrs::EventId id)
        {
            if (is_damaged) throw escqrs::StoreError{"damaged"};
            return EventStore::locate(id);
        }
        bool is_damaged = true;
    };
    const auto damaged = std::make_shared<Damaged>();
    http::Metrics metrics;
    MeasuredEventStore store{escqrs::AnyEventStore{damaged}, metrics};
    const escqrs::StreamId stream{"attendee", escqrs::random_uuid()};
    SECTION("a look for an event")
    {
        CHECK_THROWS_AS(store.locate(escqrs::EventId{escqrs::random_uuid()}), escqrs::StoreError);
        CHECK(store.problem() == "a read failed, and fails again: damaged");
    }
    SECTION("of a snapshot")
    {
        CHECK_THROWS_AS(store.read_snapshot(stream, [](const escqrs::Snapshot&) {}), escqrs::StoreError);
        CHECK(store.problem() == "a read failed, and fails again: damaged");
    }
    SECTION("a reader that throws")
    {
        escqrs::NewEvent event;
        event.id = escqrs::EventId{escqrs::random_uuid()};
        event.type = "Happened";
        store.append(stream, escqrs::ExpectedVersion::any(), {&event, 1});
        const auto fail = [](const escqrs::RecordedEvent&) -> bool { throw escqrs::StoreError{"of the reader"}; };
        CHECK_THROWS_AS(store.read_stream(stream, escqrs::StreamVersion{1}, fail), escqrs::StoreError);
        CHECK_FALSE(store.problem());
    }
    damaged->is_damaged = false;
    CHECK_FALSE(store.problem());
}

TEST_CASE("a store whose appends are measured is an event store")
{
    Fixture fixture;
    escqrs::testing::event_store_conformance(fixture);
}
