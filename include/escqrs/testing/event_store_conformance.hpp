// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/clock.hpp>
#include <escqrs/store/event_store.hpp>
#include <escqrs/testing/catch2.hpp>
#include <escqrs/testing/detail/event_store_appending.hpp>
#include <escqrs/testing/detail/event_store_concurrency.hpp>
#include <escqrs/testing/detail/event_store_filtering.hpp>
#include <escqrs/testing/detail/event_store_reading.hpp>
#include <escqrs/testing/detail/event_store_snapshots.hpp>
#include <escqrs/testing/detail/event_store_waiting.hpp>
#include <escqrs/testing/detail/sample_events.hpp>

#include <chrono>
#include <future>
#include <utility>
#include <vector>

namespace escqrs::inline v0::testing {

/// Makes stores for the suite: `open(clock)` returns a pointer to a store that takes its time from `clock`, empty at
/// first.
///
/// If `is_durable`, opening again shows what was appended before, also while another store is open on the same place.
template <class Fixture>
concept EventStoreFixture = requires(Fixture& fixture, Clock& clock) {
    requires EventStore<std::remove_reference_t<decltype(*fixture.open(clock))>>;
    { Fixture::is_durable } -> std::convertible_to<bool>;
};

namespace detail {

/// Checks what is still there after the store was closed, and what several stores on one place see of each other.
template <class Fixture>
void check_durability(Fixture& fixture)
{
    ManualClock clock;
    auto store = fixture.open(clock);
    const StreamId stream = sample_stream();

    SECTION("a store opened again continues where it was")
    {
        const std::vector<SampleEvent> events(3);
        const auto first = append(*store, stream, ExpectedVersion::no_stream(), events);
        append_some(*store, sample_stream("two"), 2);
        const auto head = store->head();
        const LogId log = store->log_id();
        store.reset();
        store = fixture.open(clock);

        CHECK(store->head() == head);
        CHECK(store->log_id() == log);
        REQUIRE(read_stream(*store, stream).size() == 3);
        CHECK(read_stream(*store, stream)[2].content.id == events[2].id);
        const auto repeat = append(*store, stream, ExpectedVersion::no_stream(), events);
        CHECK(repeat == first);
        CHECK(repeat.repeated);
        CHECK_THROWS_AS(append(*store, stream, ExpectedVersion::no_stream(), std::vector<SampleEvent>(1)),
                        ConcurrencyError);
        const auto next =
            append(*store, stream, ExpectedVersion::exactly(StreamVersion{3}), std::vector<SampleEvent>(1));
        CHECK_FALSE(next.repeated);
        CHECK(next.version == StreamVersion{4});
        CHECK(next.position > head);
    }

    SECTION("two stores on one place never work from what the other has overtaken")
    {
        auto other = fixture.open(clock);
        GlobalPosition last;
        for (std::uint64_t round = 0; round < 10; ++round) {
            auto& writer = round % 2 == 0 ? store : other;
            auto& loser = round % 2 == 0 ? other : store;
            const auto expected = ExpectedVersion::exactly(StreamVersion{round});
            std::vector<SampleEvent> events(1);
            events[0].type = "Kind" + std::to_string(round / 3);
            const auto result = append(*writer, stream, expected, events);
            CHECK(result.position > last);
            last = result.position;
            CHECK_THROWS_AS(append(*loser, stream, expected, std::vector<SampleEvent>(1)), ConcurrencyError);
            CHECK_FALSE(result.repeated);
            const auto repeat = append(*loser, stream, ExpectedVersion::any(), events);
            CHECK(repeat == result);
            CHECK(repeat.repeated);
            REQUIRE(read_log(*loser).size() == round + 1);
            CHECK(read_log(*loser).back().content.type == events[0].type);
        }
    }

    SECTION("an append through one store wakes a reader that waits on another")
    {
        SystemClock system;
        auto other = fixture.open(system);
        auto waiting =
            std::async(std::launch::async, [&] { return other->wait_for_events({}, std::chrono::minutes{1}, {}); });
        append_some(*store, stream, 1);
        CHECK(waiting.get());
    }
}

} // namespace detail

/// Checks every promise of the `EventStore` concept. Call it in its own test case, which makes the fixture:
/// ```
/// TEST_CASE("my store is an event store")
/// {
///     MyFixture fixture;
///     escqrs::testing::event_store_conformance(fixture);
/// }
/// ```
template <EventStoreFixture Fixture>
void event_store_conformance(Fixture& fixture)
{
    SECTION("appending") { detail::check_appending(fixture); }
    SECTION("expected versions") { detail::check_expected_versions(fixture); }
    SECTION("event ids") { detail::check_event_ids(fixture); }
    SECTION("reading") { detail::check_reading(fixture); }
    SECTION("filtering") { detail::check_filtering(fixture); }
    SECTION("snapshots") { detail::check_snapshots(fixture); }
    SECTION("waiting") { detail::check_waiting(fixture); }
    SECTION("many threads, one store")
    {
        SystemClock clock;
        std::vector<decltype(fixture.open(clock))> stores;
        stores.push_back(fixture.open(clock));
        detail::check_races(stores);
    }
    SECTION("filtering while others write")
    {
        SystemClock clock;
        std::vector<decltype(fixture.open(clock))> stores;
        for (int count = 0; count < (Fixture::is_durable ? 3 : 1); ++count) stores.push_back(fixture.open(clock));
        detail::check_filtering_races(stores);
    }
    if constexpr (Fixture::is_durable) {
        SECTION("durability") { detail::check_durability(fixture); }
        SECTION("many threads, three stores on one place")
        {
            SystemClock clock;
            std::vector<decltype(fixture.open(clock))> stores;
            for (int count = 0; count < 3; ++count) stores.push_back(fixture.open(clock));
            detail::check_races(stores);
        }
    }
}

} // namespace escqrs::inline v0::testing
