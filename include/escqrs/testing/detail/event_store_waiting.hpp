// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/stop_token.hpp>
#include <escqrs/testing/catch2.hpp>
#include <escqrs/testing/detail/sample_events.hpp>
#include <escqrs/testing/manual_clock.hpp>

#include <chrono>
#include <future>

namespace escqrs::inline v0::testing::detail {

/// Checks how a reader waits at the end of the log. Time stands still where nothing should happen by time.
template <class Fixture>
void check_waiting(Fixture& fixture)
{
    using std::chrono::hours;
    using std::chrono::milliseconds;
    const auto in_thread = [](auto work) { return std::async(std::launch::async, work); };
    ManualClock clock;
    const auto store = fixture.open(clock);
    const StreamId stream = sample_stream();

    SECTION("not at all if there is an event")
    {
        append_some(*store, stream, 2);
        const auto log = read_log(*store);
        CHECK(store->wait_for_events({}, hours{1}, {}));
        CHECK(store->wait_for_events(log[0].position, hours{1}, {}));
        CHECK(store->wait_for_events(log[0].position, milliseconds{0}, {}));
    }

    SECTION("for no longer than was asked for")
    {
        append_some(*store, stream, 1);
        CHECK_FALSE(store->wait_for_events(store->head(), milliseconds{0}, {}));
        auto waiting = in_thread([&] { return store->wait_for_events(store->head(), milliseconds{100}, {}); });
        while (waiting.wait_for(milliseconds{1}) != std::future_status::ready) clock.advance(milliseconds{10});
        CHECK_FALSE(waiting.get());
    }

    SECTION("for real time, on the machine's clock")
    {
        SystemClock system;
        const auto on_system_time = fixture.open(system);
        const auto begin = std::chrono::steady_clock::now();
        CHECK_FALSE(on_system_time->wait_for_events(on_system_time->head(), milliseconds{30}, {}));
        CHECK(std::chrono::steady_clock::now() - begin >= milliseconds{30});
    }

    SECTION("for no longer, when the time of day is set back meanwhile")
    {
        append_some(*store, stream, 1);
        auto waiting = in_thread([&] { return store->wait_for_events(store->head(), milliseconds{100}, {}); });
        clock.await_waiting(1);
        clock.set(clock.now() - hours{1});
        for (int count = 0; count < 1000 && waiting.wait_for(milliseconds{1}) != std::future_status::ready; ++count) {
            clock.advance(milliseconds{10});
        }
        CHECK(waiting.wait_for(milliseconds{0}) == std::future_status::ready);
        clock.advance(hours{2});
        CHECK_FALSE(waiting.get());
    }

    SECTION("without an end, on the machine's clock, until an append or a request to stop")
    {
        SystemClock system;
        const auto on_system_time = fixture.open(system);
        stop_source stop;
        const auto wait = [&] { return on_system_time->wait_for_events({}, Duration::max(), stop.get_token()); };
        auto stopped = in_thread(wait);
        CHECK(stopped.wait_for(milliseconds{20}) == std::future_status::timeout);
        stop.request_stop();
        CHECK_FALSE(stopped.get());
        stop = stop_source{};
        auto woken = in_thread(wait);
        CHECK(woken.wait_for(milliseconds{20}) == std::future_status::timeout);
        append_some(*on_system_time, stream, 1);
        CHECK(woken.get());
    }

    SECTION("until an append, which wakes all waiting readers")
    {
        auto first = in_thread([&] { return store->wait_for_events({}, hours{1}, {}); });
        auto second = in_thread([&] { return store->wait_for_events({}, hours{1}, {}); });
        clock.await_waiting(2);
        append_some(*store, stream, 1);
        CHECK(first.get());
        CHECK(second.get());
    }

    SECTION("an append at any moment is not slept through")
    {
        constexpr std::size_t rounds = 200;
        auto waiting = in_thread([&] {
            GlobalPosition seen;
            for (std::size_t round = 0; round < rounds;) {
                if (!store->wait_for_events(seen, hours{1}, {})) return false;
                seen = store->read_log(seen, rounds, [&](const RecordedEvent&) { return ++round < rounds; });
            }
            return true;
        });
        for (std::size_t round = 0; round < rounds; ++round) append_some(*store, stream, 1);
        CHECK(waiting.get());
    }

    SECTION("until it is stopped")
    {
        stop_source stop;
        auto waiting = in_thread([&] { return store->wait_for_events({}, hours{1}, stop.get_token()); });
        clock.await_waiting(1);
        stop.request_stop();
        CHECK_FALSE(waiting.get());
        CHECK_FALSE(store->wait_for_events({}, hours{1}, stop.get_token()));
    }
}

} // namespace escqrs::inline v0::testing::detail
