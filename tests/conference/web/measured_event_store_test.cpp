// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "web/measured_event_store.hpp"

#include <escqrs/in_memory/event_store.hpp>
#include <escqrs/testing/catch2.hpp>
#include <escqrs/testing/event_store_conformance.hpp>

#include <escqrs/testing/manual_clock.hpp>

#include <chrono>
#include <memory>
#include <span>

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

TEST_CASE("a store says for a while why its last append failed")
{
    struct Full : escqrs::in_memory::EventStore {
        escqrs::AppendResult append(const escqrs::StreamId& stream, escqrs::ExpectedVersion expected,
                                    std::span<const escqrs::NewEvent> events)
        {
            if (is_full) throw escqrs::StoreError{"disk full"};
            return EventStore::append(stream, expected, events);
        }
        bool is_full = true;
    };
    const auto full = std::make_shared<Full>();
    conference::http::Metrics metrics;
    escqrs::testing::ManualClock clock;
    MeasuredEventStore store{escqrs::AnyEventStore{full}, metrics, clock};
    const escqrs::StreamId stream{"attendee", escqrs::random_uuid()};
    const auto append = [&] {
        escqrs::NewEvent event;
        event.id = escqrs::EventId{escqrs::random_uuid()};
        event.type = "Happened";
        store.append(stream, escqrs::ExpectedVersion::no_stream(), {&event, 1});
    };
    CHECK_FALSE(store.problem());
    CHECK_THROWS_AS(append(), escqrs::StoreError);
    CHECK(store.problem() == "the last append failed: disk full");
    clock.advance(std::chrono::seconds{10});
    CHECK(store.problem());
    clock.advance(std::chrono::seconds{1});
    CHECK_FALSE(store.problem());

    CHECK_THROWS_AS(append(), escqrs::StoreError);
    CHECK(store.problem());
    full->is_full = false;
    append();
    CHECK_FALSE(store.problem());
    CHECK_THROWS_AS(append(), escqrs::ConcurrencyError); // the store is well
    CHECK_FALSE(store.problem());
}

TEST_CASE("a store whose appends are measured is an event store")
{
    Fixture fixture;
    escqrs::testing::event_store_conformance(fixture);
}
