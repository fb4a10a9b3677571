// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <escqrs/core/detail/parker.hpp>

#include <escqrs/testing/catch2.hpp>

#include <atomic>
#include <memory>
#include <thread>

using escqrs::detail::Parker;

TEST_CASE("each thread has its own parker, always the same")
{
    const std::shared_ptr<Parker> mine = Parker::of_this_thread();
    std::shared_ptr<Parker> other;
    std::thread{[&] { other = Parker::of_this_thread(); }}.join();

    CHECK(Parker::of_this_thread() == mine);
    CHECK(other != mine);
    other->unpark(); // its thread is gone
}

TEST_CASE("a thread parks until it is released, or not at all if it was released before")
{
    constexpr int rounds = 1000;
    Parker ping;
    Parker pong;
    std::atomic<int> turns{0};
    std::thread partner{[&] {
        for (int round = 0; round < rounds; ++round) {
            ping.park();
            ++turns;
            pong.unpark();
        }
    }};
    bool are_in_turn = true;
    for (int round = 0; round < rounds; ++round) {
        if (turns != round) are_in_turn = false;
        ping.unpark();
        pong.park();
    }
    partner.join();

    CHECK(are_in_turn);
    CHECK(turns == rounds);
}

TEST_CASE("releasing a thread twice is releasing it once")
{
    Parker parker;
    parker.unpark();
    parker.unpark();
    parker.park();
    std::atomic<bool> has_parked{false};
    std::thread thread{[&] {
        parker.park();
        has_parked = true;
    }};
    std::this_thread::yield();
    CHECK_FALSE(has_parked);
    parker.unpark();
    thread.join();
    CHECK(has_parked);
}
