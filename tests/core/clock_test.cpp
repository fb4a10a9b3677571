// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <escqrs/core/clock.hpp>
#include <escqrs/core/stop_token.hpp>
#include <escqrs/projections/subscription.hpp>
#include <escqrs/testing/catch2.hpp>
#include <escqrs/testing/manual_clock.hpp>

#include <chrono>
#include <functional>
#include <future>
#include <mutex>

using namespace escqrs;
using namespace std::chrono_literals;

namespace {

/// A clock of a user's, who knows of `now` alone.
struct SimpleClock final : Clock {
    Timestamp now() const override { return time; }
    bool wait_for(std::unique_lock<std::mutex>&, escqrs::condition_variable_any&, Duration at_most, escqrs::stop_token,
                  FunctionRef<bool()> ready) override
    {
        time = later_by(time, at_most);
        if (waited) waited();
        return ready();
    }

    Timestamp time{std::chrono::sys_days{std::chrono::year{2026} / 6 / 1}};
    std::function<void()> waited;
};

/// A checkpoint that never moves.
struct StandingPlace {
    GlobalPosition load() { return {}; }
};

} // namespace

TEST_CASE("a moment plus a duration ends at the last moment, and at the first")
{
    CHECK(later_by(Timestamp{5us}, 3us) == Timestamp{8us});
    CHECK(later_by(Timestamp{5us}, -8us) == Timestamp{-3us});
    CHECK(later_by(Timestamp{5us}, Duration::max()) == Timestamp::max());
    CHECK(later_by(Timestamp::max(), 1us) == Timestamp::max());
    CHECK(later_by(SteadyTime::max(), Duration::max()) == SteadyTime::max());
    CHECK(later_by(Timestamp{-5us}, Duration::min()) == Timestamp::min());
    CHECK(later_by(Timestamp{-5us}, Duration::max()) == Timestamp{Duration::max() - 5us});
}

TEST_CASE("the time until a moment is never below zero, and never too long")
{
    CHECK(time_until(Timestamp{8us}, Timestamp{5us}) == 3us);
    CHECK(time_until(Timestamp{5us}, Timestamp{8us}) == 0us);
    CHECK(time_until(Timestamp::min(), Timestamp{8us}) == 0us);
    CHECK(time_until(Timestamp::max(), Timestamp{8us}) == Duration::max() - 8us);
    CHECK(time_until(Timestamp::max(), Timestamp{-8us}) == Duration::max());
    CHECK(time_until(SteadyTime::max(), SteadyTime::min()) == Duration::max());
}

TEST_CASE("a clock that knows the time of day alone counts by how much it goes forward")
{
    SimpleClock clock;
    const SteadyTime begin = clock.steady();
    clock.time += 10s;
    CHECK(clock.steady() - begin == 10s);
    clock.time -= 1h;
    CHECK(clock.steady() - begin == 10s);
    clock.time += 5s;
    CHECK(clock.steady() - begin == 15s);
}

TEST_CASE("a manual clock that is set lets no time pass")
{
    testing::ManualClock clock;
    const SteadyTime begin = clock.steady();
    const Timestamp start = clock.now();
    clock.set(start - 1h);
    CHECK(clock.now() == start - 1h);
    CHECK(clock.steady() == begin);
    clock.advance(1s);
    CHECK(clock.steady() - begin == 1s);
    clock.advance(Duration::max());
    CHECK(clock.steady() == SteadyTime::max());
}

TEST_CASE("the machine's steady clock goes forward from the machine's start, which has a name")
{
    const SteadyTime begin = system_clock().steady();
    CHECK(begin > SteadyTime{});
    CHECK(system_clock().steady() >= begin);
#ifdef __linux__
    CHECK(system_clock().steady_origin().size() == 36);
#endif
    CHECK(system_clock().steady_origin() == SystemClock{}.steady_origin());
}

TEST_CASE("a sleep without an end ends when it is stopped, not before")
{
    escqrs::stop_source stop;
    auto sleep =
        std::async(std::launch::async, [&] { return sleep_for(system_clock(), Duration::max(), stop.get_token()); });
    CHECK(sleep.wait_for(20ms) == std::future_status::timeout);
    stop.request_stop();
    CHECK_FALSE(sleep.get());
}

TEST_CASE("a wait for a checkpoint is no longer when the time of day is set back meanwhile")
{
    SimpleClock clock;
    StandingPlace place;
    int waits = 0;
    clock.waited = [&] {
        if (++waits == 3) clock.time -= 1h;
    };
    CHECK_FALSE(wait_for(place, GlobalPosition{1}, clock.time + 1s, {}, 100ms, clock));
    CHECK(waits <= 12);
}
