// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "http/blocking_pool.hpp"

#include <escqrs/testing/catch2.hpp>

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <mutex>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>

using http::BlockingPool;

TEST_CASE("what work of a pool throws ends no thread")
{
    std::mutex mutex;
    std::string lines;
    BlockingPool pool{1, 10, [&](std::string_view line) {
                          const std::scoped_lock lock{mutex};
                          lines.append(line).append("\n");
                      }};
    REQUIRE(pool.try_run([] { throw std::runtime_error{"the reason"}; }));
    REQUIRE(pool.try_run([] { throw std::bad_alloc{}; }));
    REQUIRE(pool.try_run([] { throw 7; }));
    REQUIRE(pool.run_after(std::chrono::milliseconds{1}, [] { throw std::runtime_error{"later"}; }));
    std::promise<void> done;
    REQUIRE(pool.try_run([&] { done.set_value(); }));
    done.get_future().wait();
    pool.stop();
    CHECK_THAT(lines, Catch::Contains("the reason"));
}

TEST_CASE("a pool never runs work on the caller's thread, who may hold a lock that it takes")
{
    BlockingPool pool{1, 10};
    std::mutex held;
    const auto work = [&] { const std::scoped_lock lock{held}; };
    pool.stop();
    const std::scoped_lock lock{held};
    CHECK_FALSE(pool.try_run(work));
    CHECK_FALSE(pool.run_after(std::chrono::milliseconds{0}, work));
}

TEST_CASE("stopping a pool does not wait for the time of what was to run later")
{
    std::thread::id ran;
    {
        BlockingPool pool{1, 10};
        REQUIRE(pool.run_after(std::chrono::hours{1}, [&] { ran = std::this_thread::get_id(); }));
        pool.stop();
    }
    CHECK(ran != std::thread::id{});
    CHECK(ran != std::this_thread::get_id());
}

TEST_CASE("stopping a pool finishes what has begun, and drops what has not")
{
    BlockingPool pool{1, 10};
    std::promise<void> started;
    std::promise<void> release;
    std::atomic<bool> is_finished{false};
    std::atomic<bool> is_run{false};
    REQUIRE(pool.try_run([&] {
        started.set_value();
        release.get_future().wait();
        is_finished = true;
    }));
    started.get_future().wait();
    const auto token = std::make_shared<int>();
    REQUIRE(pool.try_run([&, token] { is_run = true; }));
    std::thread stopping{[&] { pool.stop(); }};
    while (pool.run_after(std::chrono::hours{1}, [] {})) // which a pool refuses only once it is stopped
        std::this_thread::sleep_for(std::chrono::milliseconds{1});
    release.set_value();
    stopping.join();
    CHECK(is_finished);
    CHECK_FALSE(is_run);
    CHECK(token.use_count() == 1);
}

TEST_CASE("a pool refuses what is beyond its limit, and takes work again when it has room")
{
    BlockingPool pool{1, 1};
    std::promise<void> started;
    std::promise<void> release;
    REQUIRE(pool.try_run([&] {
        started.set_value();
        release.get_future().wait();
    }));
    started.get_future().wait();
    CHECK(pool.try_run([] {}));
    CHECK_FALSE(pool.try_run([] {}));
    release.set_value();
    while (!pool.try_run([] {})) std::this_thread::yield();
    pool.stop();
}
