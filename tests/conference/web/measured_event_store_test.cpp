// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "web/measured_event_store.hpp"

#include "support/temporary_folder.hpp"

#include <escqrs/in_memory/event_store.hpp>
#include <escqrs/sqlite/database.hpp>
#include <escqrs/sqlite/event_store.hpp>
#include <escqrs/testing/catch2.hpp>
#include <escqrs/testing/event_store_conformance.hpp>

#include <escqrs/testing/manual_clock.hpp>

#include <chrono>
#include <memory>
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

    conference::http::Metrics metrics;
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
    conference::http::Metrics metrics;
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
    conference::http::Metrics metrics;
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

TEST_CASE("a store whose appends are measured is an event store")
{
    Fixture fixture;
    escqrs::testing::event_store_conformance(fixture);
}
