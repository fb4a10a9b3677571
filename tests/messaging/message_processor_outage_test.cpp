// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

// A processor that dies, is stopped, loses locks, or can reach neither queue nor read model.
#include "processor_fixture.hpp"

#include <escqrs/core/stop_token.hpp>
#include <escqrs/messaging/detail/lock_keeper.hpp>
#include <escqrs/messaging/detail/work_status.hpp>
#include <escqrs/testing/catch2.hpp>

#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace processing;
using namespace std::chrono_literals;
using escqrs::BatchResult;

namespace {

constexpr escqrs::MessageQueueCounts empty_queue{};

/// Has `worker` run in a thread of its own until the queue is empty, and time pass meanwhile.
void run_until_empty(Workplace& place, Worker& worker, escqrs::Duration step)
{
    const escqrs::jthread thread{[&](escqrs::stop_token stop) { worker.processor.run(std::move(stop)); }};
    while (place.queue.counts() != empty_queue) {
        if (place.clock.waiting() != 0) place.clock.advance(step);
        std::this_thread::yield();
    }
}

} // namespace

TEST_CASE("message processor: dying between commit and settlement leaves the effect once")
{
    Workplace place;
    place.log.add("1", {1, 2});
    place.send_all();
    Receiver receiver{&place.queue};
    const bool before = GENERATE(true, false);
    (before ? receiver.before_settle : receiver.after_settle) = [] {
        throw escqrs::TransportError{"the process is dying"};
    };
    {
        Worker dying{place.path, receiver, place.options()};
        CHECK_THROWS_AS(dying.work_once(), escqrs::TransportError);
    }
    CHECK(place.contents() == place.log.fold());
    place.clock.advance(2min); // the lock runs out
    CHECK(place.work_once() == (before ? BatchResult{2, 2, 0, 0} : BatchResult{}));
    CHECK(place.own.table.calls == 0);
    CHECK(place.contents() == place.log.fold());
    CHECK(place.queue.counts() == empty_queue);
}

TEST_CASE("message processor: dying before the commit leaves no effect")
{
    Workplace place;
    place.log.add("1", {1});
    place.send_all();
    Receiver receiver{&place.queue};
    receiver.before_settle = [] { throw escqrs::TransportError{"dead"}; }; // it cannot give anything back either
    {
        Worker dying{place.path, receiver, place.options()};
        dying.table.after = [](const Added&) { throw escqrs::StoreError{"the disk is gone"}; };
        CHECK_THROWS_AS(dying.work_once(), escqrs::StoreError);
    }
    CHECK(place.contents().empty());
    place.clock.advance(2min);
    place.work();
    CHECK(place.contents() == place.log.fold());
}

TEST_CASE("message processor: while the read model cannot be written, messages are kept, however long")
{
    Workplace place;
    for (const char* const id : {"1", "2", "3", "4", "5"}) place.log.add(id, {1});
    place.send_all();
    escqrs::sqlite::Database other{place.path};
    auto lock = std::make_unique<escqrs::sqlite::Transaction>(other);

    SECTION("one batch is given back whole")
    {
        std::vector<BatchResult> results;
        auto options = place.options();
        options.on_batch = [&](const BatchResult& result) { results.push_back(result); };
        Worker worker{place.path, place.queue, options};
        CHECK_THROWS_AS(worker.work_once(), escqrs::StoreError);
        CHECK(place.queue.counts() == escqrs::MessageQueueCounts{5, 0, 0, 0});
        CHECK(results == std::vector{BatchResult{.received = 5, .abandoned = 5}});
    }
    SECTION("one that runs receives no more until it can write again")
    {
        Worker worker{place.path, place.queue, place.options()};
        {
            const escqrs::jthread thread{[&](escqrs::stop_token stop) { worker.processor.run(std::move(stop)); }};
            for (int probe = 0; probe < 100; ++probe) {
                place.clock.await_waiting(1);
                CHECK(worker.processor.problem());
                place.clock.advance(10s);
            }
            CHECK(place.queue.counts() == escqrs::MessageQueueCounts{5, 0, 0, 0});
            lock.reset();
            while (place.queue.counts() != empty_queue) {
                if (place.clock.waiting() != 0) place.clock.advance(10s);
                std::this_thread::yield();
            }
        }
        CHECK(place.contents() == place.log.fold());
        CHECK(place.dead_letters().empty());
        REQUIRE(place.lines.size() >= 2);
        CHECK(place.lines.size() <= 4); // the same text once
        CHECK(place.lines.front().find("read model unavailable") == 0);
        CHECK(place.lines.back() == "read model available again");
    }
}

TEST_CASE("message processor: what its check refuses keeps messages on the queue, until it does not")
{
    Workplace place;
    place.log.add("1", {1});
    place.send_all();
    auto options = place.options();
    int refusals = 3;
    options.check = [&] {
        if (refusals-- > 0) throw escqrs::StoreError{"not yet"};
    };
    int failures = 0;
    options.on_failure = [&] { ++failures; };
    Worker worker{place.path, place.queue, options};
    run_until_empty(place, worker, 1s);
    CHECK(place.contents() == place.log.fold());
    CHECK(failures == 3);
    CHECK(place.lines ==
          std::vector<std::string>{"read model unavailable, waiting for it: not yet", "read model available again"});
}

TEST_CASE("message processor: a failure of the queue is waited out")
{
    Workplace place;
    place.log.add("1", {1});
    place.send_all();
    Receiver receiver{&place.queue};
    int failures = 3;
    receiver.after_receive = [&] {
        const int left = failures--;
        if (left == 2) throw 42; // NOLINT(hicpp-exception-baseclass): whatever a receiver throws
        if (left > 0) throw escqrs::TransportError{"no route"};
    };
    Worker worker{place.path, receiver, place.options()};
    run_until_empty(place, worker, 2min); // the locks of what was received run out, too
    CHECK(place.contents() == place.log.fold());
    CHECK(place.lines.size() == 3);
}

TEST_CASE("message processor: stopping leaves nothing locked")
{
    Workplace place;
    for (const char* const id : {"1", "2", "3", "4", "5"}) place.log.add(id, {1});
    place.send_all();
    escqrs::stop_source stop;
    Receiver receiver{&place.queue};
    Worker worker{place.path, receiver, place.options()};

    SECTION("before anything was handled")
    {
        receiver.after_receive = [&] { stop.request_stop(); };
        CHECK(worker.work_once(stop.get_token()) == BatchResult{5, 0, 5, 0});
        CHECK(place.contents().empty());
        CHECK(place.queue.counts() == escqrs::MessageQueueCounts{5, 0, 0, 0});
    }
    SECTION("in the middle of a batch")
    {
        worker.table.after = [&](const Added&) {
            if (worker.table.calls == 2) stop.request_stop();
        };
        CHECK(worker.work_once(stop.get_token()) == BatchResult{5, 2, 3, 0});
        CHECK(place.contents().size() == 2);
        CHECK(place.queue.counts() == escqrs::MessageQueueCounts{3, 0, 0, 0});
    }
    place.work();
    CHECK(place.contents() == place.log.fold());
}

TEST_CASE(
    "message processor: a stop releases what was not seen, after the rest is settled, where the queue can do that")
{
    Workplace place;
    for (const char* const id : {"1", "2", "3", "4", "5"}) place.log.add(id, {1});
    place.send_all();
    escqrs::stop_source stop;
    ReleasingReceiver receiver{{&place.queue}};
    Worker worker{place.path, receiver, place.options()};
    worker.table.after = [&](const Added&) {
        if (worker.table.calls == 2) stop.request_stop();
    };
    CHECK(worker.work_once(stop.get_token()) == BatchResult{5, 2, 3, 0});
    CHECK(receiver.released == std::vector<std::string>{"3-1", "4-1", "5-1"});
    CHECK(receiver.locked_before == 0);
}

TEST_CASE(
    "message processor: a message whose lock is lost before it is handled is released, where the queue can do that")
{
    Workplace place;
    for (const char* const id : {"1", "2", "3"}) place.log.add(id, {1});
    place.send_all();
    ReleasingReceiver receiver{{&place.queue}};
    Worker worker{place.path, receiver, place.options()};
    worker.table.after = [&](const Added&) {
        if (worker.table.calls == 2) place.clock.advance(2min);
    };
    CHECK(worker.work_once() == BatchResult{3, 0, 0, 0, 3});
    CHECK(receiver.released == std::vector<std::string>{"3-1"}); // the others were handled, too late
}

TEST_CASE("message processor: the locks of a batch are renewed in time when the time of day is set")
{
    escqrs::testing::ManualClock clock;
    escqrs::MessageQueueOptions options;
    options.clock = &clock;
    escqrs::in_memory::MessageQueue queue{options};
    escqrs::Message message;
    message.message_id = "1";
    queue.send(std::span{&message, 1});
    auto messages = queue.receive(1, {});
    escqrs::detail::LockKeeper keeper{queue, messages, clock};
    for (const auto by : {-24h, 24h}) {
        clock.set(clock.now() + by);
        for (int renewals = 0; renewals < 3; ++renewals) {
            clock.advance(options.lock_duration * 3 / 4);
            keeper.renew_if_due();
        }
    }
    CHECK_FALSE(keeper.is_lost(0));
    queue.settle(messages[0], escqrs::Complete{});
}

TEST_CASE("message processor: slow handling renews the locks in time, and never while a transaction is open")
{
    Workplace place;
    place.log.add("1", {1, 2, 3, 4, 5});
    place.log.add("2", {6});
    auto messages = place.log.messages();
    messages.back().session_id.clear();
    place.send(messages);
    ReleasingReceiver receiver{{&place.queue}};
    Worker worker{place.path, receiver, place.options()};
    int calls_within = 0;
    receiver.on_call = [&] { calls_within += worker.database.in_transaction() ? 1 : 0; };

    SECTION("every message takes more than half the lock's time")
    {
        worker.table.after = [&](const Added&) { place.clock.advance(40s); };
        CHECK(worker.work_once() == BatchResult{6, 6, 0, 0});
        CHECK(receiver.renewals == 10); // five times, for the session and for the message without one
        CHECK(receiver.lost == 0);
        CHECK(worker.table.calls == 6);
        CHECK(place.queue.counts() == empty_queue);
    }
    SECTION("one fails after others were committed")
    {
        bool broken = true;
        worker.table.after = [&](const Added& event) {
            place.clock.advance(40s);
            if (broken && event.amount == 3) throw std::runtime_error{"not now"};
        };
        CHECK(worker.work_once() == BatchResult{6, 3, 3, 0});
        broken = false;
        place.work();
    }
    SECTION("a lock that was lost all the same costs nothing but a second delivery")
    {
        bool slow = true;
        worker.table.after = [&](const Added&) {
            if (std::exchange(slow, false)) place.clock.advance(2min);
        };
        CHECK(worker.work_once() == BatchResult{6, 0, 0, 0, 6});
        CHECK(place.queue.counts().active == 6);
        place.work();
        CHECK(place.queue.counts() == empty_queue);
    }
    CHECK(place.contents() == place.log.fold());
    CHECK(calls_within == 0);
}

TEST_CASE("message processor: a loop that does not come round is reported as hung")
{
    escqrs::detail::WorkStatus status;
    const escqrs::SteadyTime start{};
    status.start(start);
    CHECK_FALSE(status.problem(start + status.patience).has_value());
    CHECK(status.problem(start + status.patience + 1s) == "has hung for 121 s");
    status.came_round(start + 3min);
    CHECK_FALSE(status.problem(start + 3min).has_value());
    status.came_round(start + 4min, "away");
    CHECK(status.problem(start + 4min) == "away");
    status.start(start + 5min);
    CHECK_FALSE(status.problem(start + 5min).has_value());
    status.stop();
    CHECK(status.problem(start + 5min) == "not running");
}

TEST_CASE("message processor: a long batch, and a long wait for messages, are no sign that it hangs")
{
    Workplace place;
    for (const char* const id : {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}) place.log.add(id, {1});
    place.send_all();
    auto options = place.options();
    options.max_wait = 5min;
    int checks = 0;
    options.check = [&] {
        if (++checks == 1) throw escqrs::StoreError{"not yet"};
    };
    Worker worker{place.path, place.queue, options};
    int problems = 0;
    std::atomic<int> handled{0};
    worker.table.after = [&](const Added&) {
        place.clock.advance(50s);
        problems += worker.processor.problem() ? 1 : 0;
        ++handled;
    };
    const escqrs::jthread thread{[&](escqrs::stop_token stop) { worker.processor.run(std::move(stop)); }};
    place.clock.await_waiting(1); // to try again
    CHECK(worker.processor.problem());
    place.clock.advance(1s);
    while (handled != 10) std::this_thread::yield();
    place.clock.await_waiting(1); // for messages
    CHECK(problems == 0);
    place.clock.advance(4min);
    CHECK_FALSE(worker.processor.problem());
}

TEST_CASE("message processor: hooks that throw neither hide an outage nor end the work")
{
    Workplace place;
    for (const char* const id : {"1", "2"}) place.log.add(id, {1});
    place.send_all();
    auto options = place.options();
    bool is_away = true;
    options.log = [](std::string_view) { throw std::runtime_error{"the log's disk is full"}; };
    int failures = 0;
    options.on_failure = [&] {
        ++failures;
        throw std::runtime_error{"no counter"};
    };
    options.on_batch = [&](const BatchResult&) {
        if (is_away) throw std::runtime_error{"no counter"};
    };
    Receiver receiver{&place.queue};
    int receives = 0;
    receiver.after_receive = [&] { ++receives; };
    Worker worker{place.path, receiver, options};
    worker.table.after = [&](const Added&) {
        if (is_away) throw escqrs::StoreError{"the read model is away"};
    };
    {
        const escqrs::jthread thread{[&](escqrs::stop_token stop) { worker.processor.run(std::move(stop)); }};
        place.clock.await_waiting(1);
        CHECK(worker.processor.problem() == "read model unavailable, waiting for it: the read model is away");
        is_away = false;
        while (place.queue.counts() != empty_queue) {
            if (place.clock.waiting() != 0) place.clock.advance(10s);
            std::this_thread::yield();
        }
    }
    CHECK(failures == 1);
    CHECK(receives == 2);
    CHECK(place.contents() == place.log.fold());
}

TEST_CASE("message processor: what was not handled is released, even if the rest cannot be settled")
{
    Workplace place;
    for (const char* const id : {"1", "2", "3"}) place.log.add(id, {1});
    place.send_all();
    escqrs::stop_source stop;
    ReleasingReceiver receiver{{&place.queue}};
    receiver.before_settle = [] { throw escqrs::TransportError{"no route"}; };
    Worker worker{place.path, receiver, place.options()};
    worker.table.after = [&](const Added&) { stop.request_stop(); };
    CHECK_THROWS_AS(worker.work_once(stop.get_token()), escqrs::TransportError);
    CHECK(receiver.released == std::vector<std::string>{"2-1", "3-1"});
}

TEST_CASE("message processor: a stop completes nothing that was undone")
{
    Workplace place;
    for (const char* const id : {"1", "2", "3", "4", "5"}) place.log.add(id, {1});
    place.send_all();
    Worker worker{place.path, place.queue, place.options()};
    escqrs::stop_source stop;

    SECTION("before the messages could be handled again one by one")
    {
        worker.table.after = [&](const Added&) {
            if (worker.table.calls < 3) return;
            stop.request_stop();
            throw std::runtime_error{"not now"};
        };
        CHECK(worker.work_once(stop.get_token()) == BatchResult{5, 0, 5, 0});
        CHECK(place.contents().empty());
    }
    SECTION("after some of them were handled again")
    {
        worker.table.after = [&](const Added&) {
            if (worker.table.calls == 5) throw std::runtime_error{"not now"};
            if (worker.table.calls < 6) return;
            place.clock.advance(40s); // so that this message is committed alone, and the locks are renewed
            stop.request_stop();
        };
        CHECK(worker.work_once(stop.get_token()) == BatchResult{5, 1, 4, 0});
        CHECK(place.contents().size() == 1);
    }
    place.work();
    CHECK(place.contents() == place.log.fold());
}
