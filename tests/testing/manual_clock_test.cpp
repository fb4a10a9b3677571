// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <escqrs/core/stop_token.hpp>
#include <escqrs/testing/catch2.hpp>
#include <escqrs/testing/manual_clock.hpp>

#include <atomic>
#include <chrono>
#include <mutex>
#include <utility>

using escqrs::testing::ManualClock;
using namespace std::chrono_literals;

namespace {

/// Something that another thread waits for on a clock.
struct Waiting {
    ManualClock& clock;
    std::mutex mutex{};
    escqrs::condition_variable_any wake{};
    bool ready = false;
    std::atomic<bool> is_over = false;
    bool result = false;

    escqrs::jthread wait(escqrs::Duration at_most)
    {
        return escqrs::jthread{[this, at_most](escqrs::stop_token stop) {
            std::unique_lock lock{mutex};
            result = clock.wait_for(lock, wake, at_most, std::move(stop), [this] { return ready; });
            is_over = true;
        }};
    }
};

} // namespace

TEST_CASE("manual clock: stands still until it is moved")
{
    ManualClock clock;
    const escqrs::Timestamp start = std::chrono::sys_days{std::chrono::year{2026} / 1 / 1};
    CHECK(clock.now() == start);
    clock.advance(90s);
    CHECK(clock.now() == start + 90s);
    CHECK(ManualClock{start + 5s}.now() == start + 5s);
}

TEST_CASE("manual clock: wakes a waiting thread when the time has come, and not before")
{
    ManualClock clock;
    Waiting early{clock};
    Waiting late{clock};
    auto early_thread = early.wait(10s);
    auto late_thread = late.wait(20s);
    clock.await_waiting(2);
    CHECK(clock.waiting() == 2);

    clock.advance(9s);
    CHECK_FALSE(early.is_over);
    clock.advance(1s);
    early_thread.join();
    CHECK_FALSE(early.result); // the time has come, the condition has not
    CHECK_FALSE(late.is_over);
    CHECK(clock.waiting() == 1);
    clock.advance(10s);
    late_thread.join();
    CHECK(clock.waiting() == 0);
}

TEST_CASE("manual clock: wakes a waiting thread when the condition is met, or when it is stopped")
{
    ManualClock clock;
    Waiting waiting{clock};
    auto thread = waiting.wait(escqrs::Duration::max()); // no deadline that could overflow
    clock.await_waiting(1);

    SECTION("the condition")
    {
        {
            const std::scoped_lock lock{waiting.mutex};
            waiting.ready = true;
        }
        waiting.wake.notify_all();
        thread.join();
        CHECK(waiting.result);
    }
    SECTION("the stop")
    {
        thread.request_stop();
        thread.join();
        CHECK_FALSE(waiting.result);
    }
    CHECK(clock.waiting() == 0);
}

TEST_CASE("manual clock: no wake-up is lost on a thread that is about to wait")
{
    for (int round = 0; round < 1000; ++round) {
        ManualClock clock;
        Waiting waiting{clock};
        auto thread = waiting.wait(1s);
        clock.await_waiting(1);
        clock.advance(1s);
        thread.join();
        CHECK(waiting.is_over);
    }
}
