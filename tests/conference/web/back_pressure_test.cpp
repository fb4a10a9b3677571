// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "web/back_pressure.hpp"

#include <escqrs/testing/catch2.hpp>
#include <escqrs/testing/manual_clock.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <future>
#include <random>
#include <stdexcept>
#include <stop_token>
#include <thread>

using namespace conference::web;
using namespace std::chrono_literals;

namespace {

/// Clients that send one command after the other, each of which takes 8 ms on average, and a read model of a certain pace; in steps of a
/// millisecond.
struct Simulation {
    escqrs::testing::ManualClock clock;
    double stored = 0;
    double handled = 0;
    double lost = 0;
    double dead_lettered = 0;
    double resubmitted = 0;       ///< of these, and handled
    bool is_newest_first = false; ///< the queue delivers the newest events first
    std::uint64_t in_hand = 0;    ///< at most so many are handled and not committed, though newer ones are
    BackPressure pressure{[this] { return progress(); }, {.clock = &clock}};
    std::array<escqrs::Duration, 64> busy_for{};
    std::mt19937 random{1};
    std::uint64_t committed = 0;
    escqrs::SteadyTime looked_at{};

    BackPressure::Progress progress()
    {
        const auto all = static_cast<std::uint64_t>(stored + lost + dead_lettered);
        const bool is_last_reached = is_newest_first || in_hand > 0;
        const auto reached = is_last_reached ? all : static_cast<std::uint64_t>(handled + lost + dead_lettered);
        const auto done = static_cast<std::uint64_t>(handled + resubmitted);
        committed = std::max(committed, done - std::min<std::uint64_t>(done, random() % (in_hand + 1)));
        return {.stored = all,
                .reached = reached,
                .handled = committed,
                .dead_lettered = static_cast<std::uint64_t>(dead_lettered)};
    }

    escqrs::Duration time_of_command() { return std::chrono::milliseconds{6 + random() % 5}; }

    void run(escqrs::Duration time, double pace)
    {
        for (; time > 0s; time -= 1ms) {
            work(pace);
            for (auto& busy : busy_for) {
                busy -= 1ms;
                if (busy > 0s) continue;
                ++stored;
                const auto wait_before = wait(); // draws a number, too: in the same order wherever this is compiled
                busy = time_of_command() + wait_before;
            }
        }
    }

    /// For the next command. What `run` does in a thread of its own is done here.
    escqrs::Duration wait()
    {
        if (clock.steady() - looked_at >= 20ms) {
            looked_at = clock.steady();
            pressure.look();
        }
        return pressure.wait();
    }

    void catch_up(double pace)
    {
        while (handled < stored) work(pace);
    }

    void work(double pace)
    {
        clock.advance(1ms);
        handled = std::min(stored, handled + pace / 1000);
    }
};

} // namespace

TEST_CASE("back pressure: commands go as fast as the read model, which lags by less than a second")
{
    const double pace = GENERATE(300.0, 700.0, 1500.0, 4300.0, 7000.0); // without it there were 8,000 commands a second
    CAPTURE(pace);
    Simulation world;
    world.is_newest_first = GENERATE(false, true);
    CAPTURE(world.is_newest_first);
    world.run(2s, pace); // until its pace is known
    world.catch_up(pace);
    const double before = world.stored;
    double longest = 0;
    for (int step = 0; step < 100; ++step) {
        world.run(100ms, pace);
        longest = std::max(longest, (world.stored - world.handled) / pace);
    }
    CHECK(longest < 1);
    CHECK(world.stored - before > 9 * pace);
}

TEST_CASE("back pressure: commands follow a read model that becomes slower, or faster")
{
    Simulation world;
    world.run(5s, 5000);
    world.run(10s, 1000);
    CHECK((world.stored - world.handled) / 1000 < 1);
    world.run(2s, 7000);
    const double before = world.stored;
    world.run(5s, 7000);
    CHECK(world.stored - before > 4.5 * 7000);
}

TEST_CASE("back pressure: a read model that was slow at first is not taken for slow for ever")
{
    Simulation world;
    world.run(2s, 60);
    world.catch_up(2000);
    world.run(5s, 2000);
    const double before = world.stored;
    world.run(5s, 2000);
    CHECK(world.stored - before > 4.5 * 2000);
}

TEST_CASE("back pressure: nothing waits while the read model keeps up")
{
    Simulation world;
    world.run(3s, 9000);
    CHECK(world.wait() == 0s);
    CHECK(world.stored > 23'500);
}

TEST_CASE(
    "back pressure: commands do not depend on a read model that handles nothing, and are slowed when it works again")
{
    Simulation world;
    world.run(3s, 9000);
    world.run(3s, 0);
    CHECK(world.wait() == 0s);
    world.run(2s, 5000);
    CHECK(world.wait() > 20ms); // at half the pace
    CHECK(world.wait() < 30ms);
    world.run(20s, 5000);
    CHECK((world.stored - world.handled) / 5000 < 1);
}

TEST_CASE("back pressure: events that are dead-lettered slow no command, before and after they are resubmitted")
{
    Simulation world;
    world.is_newest_first = GENERATE(false, true);
    CAPTURE(world.is_newest_first);
    SECTION("while commands are many")
    {
        world.run(3s, 9000);
        world.dead_lettered = 2000;
        world.run(1s, 9000);
        CHECK(world.wait() == 0s);
        world.resubmitted = 2000;
        world.run(1s, 9000);
        CHECK(world.wait() == 0s);
        world.run(10s, 4000); // and they are not taken for dead-lettered any more
        CHECK((world.stored - world.handled) / 4000 < 1);
    }
    SECTION("while commands are few")
    {
        for (int command = 0; command < 1000; ++command) {
            world.stored += 1;
            world.dead_lettered += 1;
            world.work(1000);
            world.clock.advance(20ms);
            CHECK(world.wait() == 0s);
        }
    }
    SECTION("before this process began")
    {
        world.dead_lettered = 2000;
        world.run(10s, 9000);
        CHECK(world.wait() == 0s);
    }
}

TEST_CASE("back pressure: events that are lost slow no command for long")
{
    Simulation world;
    world.is_newest_first = GENERATE(false, true);
    CAPTURE(world.is_newest_first);
    world.run(3s, 9000);
    world.lost = 2000;
    for (int command = 0; command < 100; ++command) {
        world.stored += 1;
        world.work(1000);
        world.clock.advance(20ms);
        world.wait();
    }
    CHECK(world.wait() == 0s);
    world.run(1s, 9000);
    CHECK(world.wait() == 0s);
    world.run(10s, 4000); // what is late is not taken for lost
    CHECK((world.stored - world.handled) / 4000 < 1);
}

TEST_CASE(
    "back pressure: events that are lost slow nobody for long while commands are many and events come out of order")
{
    const double pace = GENERATE(700.0, 2360.0, 4300.0);
    const double lost = GENERATE(0.5, 0.8, 3.0) * pace;
    CAPTURE(pace, lost);
    Simulation world;
    world.in_hand = 40;
    world.run(3s, pace);
    world.lost = lost;
    world.run(10s, pace);
    const double before = world.stored;
    double longest = 0;
    for (int step = 0; step < 50; ++step) {
        world.run(100ms, pace);
        longest = std::max(longest, (world.stored - world.handled) / pace);
    }
    CHECK(world.stored - before > 4.5 * pace);
    CHECK(longest < 1);
}

TEST_CASE("back pressure: a backlog is worked off, though the newest events come first")
{
    Simulation world;
    world.is_newest_first = true;
    SECTION("that was there before this process")
    {
        world.stored = 20'000;
        world.handled = 6'000;
        world.run(10s, 4000);
    }
    SECTION("that was there before this process, beside dead letters that were resubmitted and handled long ago")
    {
        world.dead_lettered = world.resubmitted = 20'000;
        world.stored = 20'000;
        world.handled = 6'000;
        world.run(10s, 4000);
    }
    SECTION("from times in which nothing was handled")
    {
        for (int stall = 0; stall < 5; ++stall) {
            world.run(3s, 4000);
            world.run(1500ms, 0);
        }
        world.run(10s, 4000);
    }
    CHECK((world.stored - world.handled) / 4000 < 1);
}

TEST_CASE("back pressure: a read model that cannot be queried slows no command")
{
    escqrs::testing::ManualClock clock;
    BackPressure pressure{[]() -> BackPressure::Progress { throw std::runtime_error{"away"}; }, {.clock = &clock}};
    for (int look = 0; look < 100; ++look) {
        clock.advance(20ms);
        pressure.look();
        CHECK(pressure.wait() == 0s);
    }
}

TEST_CASE("back pressure: a look that gets no answer holds up no command")
{
    std::promise<void> asked;
    std::promise<void> answer;
    BackPressure pressure{[&, answered = answer.get_future().share()]() -> BackPressure::Progress {
        asked.set_value();
        answered.wait();
        throw std::runtime_error{"away"};
    }};
    std::jthread thread{[&](const std::stop_token& stop) { pressure.run(stop); }};
    auto command = std::async(std::launch::async, [&] { return pressure.wait(); });
    struct AtTheEnd {
        std::promise<void>* answer;
        ~AtTheEnd() { answer->set_value(); }
    };
    const AtTheEnd at_the_end{&answer}; // whatever is thrown, before `command` and `thread` are waited for
    REQUIRE(asked.get_future().wait_for(20s) == std::future_status::ready);
    CHECK(command.wait_for(20s) == std::future_status::ready);
    CHECK(pressure.wait() == 0s); // while it looks
    thread.request_stop();
}

TEST_CASE("back pressure: what was found before the read model fell silent delays commands for a second")
{
    Simulation world;
    world.run(3s, 9000);
    world.run(3s, 0);
    world.run(2s, 5000); // with much to work off
    REQUIRE(world.pressure.wait() > 0s);
    world.clock.advance(1100ms);
    CHECK(world.pressure.wait() == 0s);
}
