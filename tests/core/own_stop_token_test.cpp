// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <escqrs/core/detail/own_stop_token.hpp>
#include <escqrs/testing/catch2.hpp>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

// Tested with every standard library, also where the core uses the standard's own.
using namespace escqrs::detail::own;
using namespace std::chrono_literals;

namespace {

constexpr auto for_ever = 24h; // a wait that a test must end

} // namespace

TEST_CASE("own stop_token: a token sees the stop of its source alone", "[core]")
{
    const stop_source source;
    const stop_source other;
    const stop_token token = source.get_token();
    CHECK_FALSE(token.stop_requested());
    CHECK(token.stop_possible());
    CHECK(token == source.get_token());
    CHECK_FALSE(token == other.get_token());
    CHECK(source.request_stop());
    CHECK_FALSE(source.request_stop());
    CHECK(token.stop_requested());
    CHECK(source.stop_requested());
    CHECK_FALSE(other.stop_requested());
}

TEST_CASE("own stop_token: without a source, or after the last one, no stop is possible", "[core]")
{
    CHECK_FALSE(stop_token{}.stop_possible());
    CHECK_FALSE(stop_token{}.stop_requested());
    CHECK_FALSE(stop_source{nostopstate}.stop_possible());
    CHECK_FALSE(stop_source{nostopstate}.request_stop());

    std::optional<stop_source> source{std::in_place};
    std::optional<stop_source> copy = source;
    const stop_token token = source->get_token();
    source.reset();
    CHECK(token.stop_possible());
    copy.reset();
    CHECK_FALSE(token.stop_possible());

    stop_source stopped;
    const stop_token after = stopped.get_token();
    stopped.request_stop();
    stopped = stop_source{nostopstate};
    CHECK(after.stop_possible());
    CHECK(after.stop_requested());
}

TEST_CASE("own stop_token: callbacks run once each, at the request or at once after it", "[core]")
{
    const stop_source source;
    int first = 0;
    int second = 0;
    int removed = 0;
    int late = 0;
    const stop_callback counts_first{source.get_token(), [&] { ++first; }};
    std::optional<stop_callback<std::function<void()>>> between{std::in_place, source.get_token(), [&] { ++removed; }};
    const stop_callback counts_second{source.get_token(), [&] { ++second; }};
    between.reset();
    source.request_stop();
    source.request_stop();
    const stop_callback counts_late{source.get_token(), [&] { ++late; }};
    const stop_callback never{stop_token{}, [&] { ++late; }};
    CHECK(first == 1);
    CHECK(second == 1);
    CHECK(removed == 0);
    CHECK(late == 1);
}

TEST_CASE("own stop_token: a callback may destroy itself, another one, and the source", "[core]")
{
    using Callback = stop_callback<std::function<void()>>;
    auto source = std::make_unique<stop_source>();
    const stop_token token = source->get_token();
    std::unique_ptr<Callback> one;
    std::unique_ptr<Callback> another;
    int ran = 0;
    const auto destroy_all = [&] {
        ++ran;
        another.reset();
        source.reset();
        one.reset();
    };
    another = std::make_unique<Callback>(token, [&] { ++ran; });
    one = std::make_unique<Callback>(token, destroy_all); // the newest runs first
    source->request_stop();
    CHECK(ran == 1);
    CHECK(token.stop_requested());
}

TEST_CASE("own stop_token: the end of a callback waits until it has run in another thread", "[core]")
{
    const stop_source source;
    std::atomic<bool> is_running{false};
    std::atomic<bool> may_end{false};
    std::atomic<bool> has_run{false};
    auto callback = std::make_unique<stop_callback<std::function<void()>>>(source.get_token(), [&] {
        is_running = true;
        while (!may_end) std::this_thread::yield();
        has_run = true;
    });
    const jthread stops{[&] { source.request_stop(); }};
    while (!is_running) std::this_thread::yield();
    const jthread lets_it_end{[&] { may_end = true; }};
    callback.reset();
    CHECK(has_run);
}

TEST_CASE("own jthread: its end stops it and waits for it", "[core]")
{
    std::atomic<int> ended{0};
    {
        const jthread with_token{[&](const stop_token& stop, int by) {
                                     while (!stop.stop_requested()) std::this_thread::yield();
                                     ended += by;
                                 },
                                 2};
        const jthread without{[&](int by) { ended += by; }, 1};
        CHECK(with_token.joinable());
    }
    CHECK(ended == 3);
}

TEST_CASE("own jthread: what is assigned to ends first", "[core]")
{
    std::atomic<bool> has_ended{false};
    jthread thread{[&](const stop_token& stop) {
        while (!stop.stop_requested()) std::this_thread::yield();
        has_ended = true;
    }};
    const stop_token token = thread.get_stop_token();
    thread = jthread{};
    CHECK(has_ended);
    CHECK(token.stop_requested());
    CHECK_FALSE(thread.joinable());
    CHECK_FALSE(thread.request_stop());
    std::vector<jthread> threads;
    for (int count = 0; count < 3; ++count) threads.emplace_back([] {});
    for (jthread& one : threads) one.join();
}

TEST_CASE("own condition_variable_any: a stop ends a wait, whenever it comes", "[core]")
{
    std::mutex mutex;
    condition_variable_any wake;
    for (int round = 0; round < 200; ++round) {
        stop_source source;
        const jthread stops{[&] { source.request_stop(); }};
        std::unique_lock lock{mutex};
        const stop_token stop = source.get_token();
        const bool is_ready = round % 2 == 0 ? wake.wait(lock, stop, [] { return false; })
                                             : wake.wait_for(lock, stop, for_ever, [] { return false; });
        CHECK_FALSE(is_ready);
        CHECK(lock.owns_lock());
    }
}

TEST_CASE("own condition_variable_any: a stop may be requested under the lock that is waited with", "[core]")
{
    std::mutex mutex;
    condition_variable_any wake;
    stop_source source;
    bool is_waiting = false;
    const jthread stops{[&] {
        std::unique_lock lock{mutex};
        wake.wait(lock, [&] { return is_waiting; });
        source.request_stop();
    }};
    std::unique_lock lock{mutex};
    is_waiting = true;
    wake.notify_all();
    CHECK_FALSE(wake.wait(lock, source.get_token(), [] { return false; }));
}

TEST_CASE("own condition_variable_any: what is waited for ends a wait, and so does the time", "[core]")
{
    std::mutex mutex;
    condition_variable_any wake;
    bool is_ready = false;
    const jthread readies{[&] {
        const std::scoped_lock lock{mutex};
        is_ready = true;
        wake.notify_one();
    }};
    std::unique_lock lock{mutex};
    CHECK(wake.wait_for(lock, stop_token{}, for_ever, [&] { return is_ready; }));
    CHECK(wake.wait_until(lock, std::chrono::steady_clock::now() + for_ever, [&] { return is_ready; }));
    CHECK_FALSE(wake.wait_for(lock, 1ms, [] { return false; }));
    CHECK(wake.wait_until(lock, std::chrono::steady_clock::now()) == std::cv_status::timeout);

    const stop_source stopped;
    stopped.request_stop();
    CHECK_FALSE(wake.wait(lock, stopped.get_token(), [] { return false; }));
    CHECK(wake.wait(lock, stopped.get_token(), [] { return true; }));
}
