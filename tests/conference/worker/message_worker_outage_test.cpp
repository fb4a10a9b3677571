// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

// A worker that dies, is stopped, loses locks, or can reach neither queue nor read model.
#include "worker/lock_keeper.hpp"
#include "worker_fixture.hpp"

#include <escqrs/testing/catch2.hpp>

#include <memory>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

using namespace conference;
using namespace conference::test;
using namespace std::chrono_literals;

namespace {

constexpr escqrs::MessageQueueCounts empty_queue{};

} // namespace

TEST_CASE("worker: dying between commit and settlement leaves the effect once")
{
    Workplace place;
    const auto ada = place.history.register_attendee();
    place.history.request_email(ada, "lovelace@example.net");
    place.send(place.history.messages());
    Receiver receiver{&place.queue};
    const bool before = GENERATE(true, false);
    const auto die = [] { throw escqrs::TransportError{"the process is dying"}; };
    (before ? receiver.before_settle : receiver.after_settle) = die;
    {
        Worker dying{place.path, receiver, place.clock};
        CHECK_THROWS_AS(dying.worker.work_once(), escqrs::TransportError);
    }
    CHECK(place.model.attendees() == place.history.fold());
    const auto revision = place.model.queries.revision();

    place.clock.advance(2min); // the lock runs out
    const auto again = place.work_once();
    CHECK(again == (before ? BatchResult{2, 2, 0, 0} : BatchResult{}));
    CHECK(place.model.queries.revision() == revision);
    CHECK(place.model.mails() == place.history.owed_mails());
    CHECK(place.queue.counts() == empty_queue);
}

TEST_CASE("worker: dead letters that cannot be counted are settled all the same, and counted later")
{
    Workplace place;
    place.history.register_attendee();
    auto messages = place.history.messages();
    messages[0].body = "{";
    place.send(messages);
    place.own.database.execute("CREATE TRIGGER uncounted BEFORE UPDATE OF dead_lettered ON progress "
                               "BEGIN SELECT RAISE(ABORT, 'the disk is full'); END");
    CHECK(place.work_once() == BatchResult{1, 0, 0, 1});
    CHECK(place.model.queries.progress().dead_lettered == 0);
    const auto lines = place.log.size();
    CHECK(place.log.back().find("cannot count dead-lettered messages: ") == 0);
    for (int round = 0; round < 10; ++round) CHECK(place.work_once() == BatchResult{});
    CHECK(place.log.size() == lines); // once is enough
    messages[0].message_id = "another";
    place.send(messages);
    CHECK(place.work_once() == BatchResult{1, 0, 0, 1});
    CHECK(place.work_once() == BatchResult{});
    CHECK(place.log.size() == lines + 2); // of the message, and that two are not counted
    place.own.database.execute("DROP TRIGGER uncounted");
    CHECK(place.work_once() == BatchResult{});
    CHECK(place.work_once() == BatchResult{});
    CHECK(place.model.queries.progress().dead_lettered == 2);
}

TEST_CASE("worker: dying before the commit leaves no effect")
{
    Workplace place;
    place.history.register_attendee();
    place.send(place.history.messages());
    Receiver receiver{&place.queue};
    receiver.before_settle = [] { throw escqrs::TransportError{"dead"}; }; // it cannot give anything back either
    {
        Worker dying{place.path, receiver, place.clock};
        const auto connection = dying.bus.subscribe<AttendeeRegistered>(
            [](const AttendeeRegistered&) { throw escqrs::StoreError{"the disk is gone"}; });
        CHECK_THROWS_AS(dying.worker.work_once(), escqrs::StoreError);
    }
    CHECK(place.model.attendees().empty());
    place.clock.advance(2min);
    place.work();
    CHECK(place.model.attendees() == place.history.fold());
}

TEST_CASE("worker: while the read model cannot be written, messages are kept, however long")
{
    Workplace place;
    for (int count = 0; count < 5; ++count) place.history.register_attendee();
    place.send(place.history.messages());
    escqrs::sqlite::Database other{place.path};
    auto lock = std::make_unique<escqrs::sqlite::Transaction>(other);

    SECTION("one batch is given back whole")
    {
        CHECK_THROWS_AS(place.work_once(), escqrs::StoreError);
        CHECK(place.queue.counts() == escqrs::MessageQueueCounts{5, 0, 0, 0});
    }
    SECTION("a running worker takes no more until it can write again")
    {
        Receiver receiver{&place.queue};
        std::vector<std::string> log;
        Worker worker{place.path, receiver, place.clock, &log};
        std::jthread thread{[&](std::stop_token stop) { worker.worker.run(std::move(stop)); }};
        for (int probe = 0; probe < 100; ++probe) {
            place.clock.await_waiting(1);
            place.clock.advance(10s);
        }
        CHECK(place.queue.counts() == escqrs::MessageQueueCounts{5, 0, 0, 0});
        lock.reset();
        while (place.queue.counts() != empty_queue) {
            if (place.clock.waiting() != 0) place.clock.advance(10s);
            std::this_thread::yield();
        }
        thread.request_stop();
        thread.join();
        CHECK(place.model.attendees() == place.history.fold());
        CHECK(place.dead_letters().empty());
        CHECK(log.front().find("read model unavailable") == 0);
    }
}

TEST_CASE("worker: a failure of the queue is waited out")
{
    Workplace place;
    place.history.register_attendee();
    Receiver receiver{&place.queue};
    int failures = 3;
    receiver.after_receive = [&] {
        const int left = failures--;
        if (left == 2) throw 42; // NOLINT(hicpp-exception-baseclass): whatever a receiver throws
        if (left > 0) throw escqrs::TransportError{"no route"};
    };
    std::vector<std::string> log;
    Worker worker{place.path, receiver, place.clock, &log};
    place.send(place.history.messages());
    std::jthread thread{[&](std::stop_token stop) { worker.worker.run(std::move(stop)); }};
    while (place.queue.counts() != empty_queue) {
        if (place.clock.waiting() != 0) place.clock.advance(2min); // the locks of what was received run out, too
        std::this_thread::yield();
    }
    thread.request_stop();
    thread.join();
    CHECK(place.model.attendees() == place.history.fold());
    CHECK(log.size() == 3);
}

TEST_CASE("worker: stopping leaves nothing locked")
{
    Workplace place;
    for (int count = 0; count < 5; ++count) place.history.register_attendee();
    place.send(place.history.messages());
    std::stop_source stop;
    Receiver receiver{&place.queue};
    Worker worker{place.path, receiver, place.clock};

    SECTION("before anything was handled")
    {
        receiver.after_receive = [&] { stop.request_stop(); };
        CHECK(worker.worker.work_once(stop.get_token()) == BatchResult{5, 0, 5, 0});
        CHECK(place.model.attendees().empty());
        CHECK(place.queue.counts() == escqrs::MessageQueueCounts{5, 0, 0, 0});
    }
    SECTION("in the middle of a batch")
    {
        int calls = 0;
        const auto connection = worker.bus.subscribe<AttendeeRegistered>([&](const AttendeeRegistered&) {
            if (++calls == 2) stop.request_stop();
        });
        CHECK(worker.worker.work_once(stop.get_token()) == BatchResult{5, 2, 3, 0});
        CHECK(place.model.attendees().size() == 2);
        CHECK(place.queue.counts() == escqrs::MessageQueueCounts{3, 0, 0, 0});
    }
    place.work();
    CHECK(place.model.attendees() == place.history.fold());
}

namespace {

/// A queue that takes messages back.
struct ReleasingReceiver : Receiver {
    void release(std::span<const escqrs::ReceivedMessage> messages)
    {
        for (const auto& message : messages) released.push_back(message.message.message_id);
        locked_before = queue->counts().locked - messages.size();
    }
    std::vector<std::string> released{};
    std::size_t locked_before = 0; // of those that are not released
};

} // namespace

TEST_CASE("worker: a stop releases what was not looked at, after the rest is settled, where the queue can do that")
{
    Workplace place;
    for (int count = 0; count < 5; ++count) place.history.register_attendee();
    const auto messages = place.history.messages();
    place.send(messages);
    std::stop_source stop;
    ReleasingReceiver receiver{{&place.queue}};
    Worker worker{place.path, receiver, place.clock};
    int calls = 0;
    const auto connection = worker.bus.subscribe<AttendeeRegistered>([&](const AttendeeRegistered&) {
        if (++calls == 2) stop.request_stop();
    });
    CHECK(worker.worker.work_once(stop.get_token()) == BatchResult{5, 2, 3, 0});
    CHECK(receiver.released == std::vector{messages[2].message_id, messages[3].message_id, messages[4].message_id});
    CHECK(receiver.locked_before == 0);
}

TEST_CASE("worker: a message whose lock is lost before it is handled is given back, where the queue can do that")
{
    Workplace place;
    for (int count = 0; count < 3; ++count) place.history.register_attendee();
    const auto messages = place.history.messages();
    place.send(messages);
    ReleasingReceiver receiver{{&place.queue}};
    Worker worker{place.path, receiver, place.clock};
    int calls = 0;
    const auto connection = worker.bus.subscribe<AttendeeRegistered>([&](const AttendeeRegistered&) {
        if (++calls == 2) place.clock.advance(2min);
    });
    CHECK(worker.worker.work_once() == BatchResult{3, 0, 0, 0, 3});
    CHECK(receiver.released == std::vector{messages[2].message_id}); // the others were handled, too late
}

TEST_CASE("worker: the locks of a batch are renewed in time when the time of day is set")
{
    escqrs::testing::ManualClock clock;
    escqrs::MessageQueueOptions options;
    options.clock = &clock;
    escqrs::in_memory::MessageQueue queue{options};
    escqrs::Message message;
    message.message_id = "1";
    queue.send(std::span{&message, 1});
    auto messages = queue.receive(1, {});
    LockKeeper keeper{queue, messages, clock};
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

TEST_CASE("worker: slow handling renews the locks in time")
{
    Workplace place;
    const auto ada = place.history.register_attendee();
    for (int count = 0; count < 4; ++count)
        place.history.request_email(ada, "a" + std::to_string(count) + "@example.net");
    place.history.register_attendee();
    auto messages = place.history.messages();
    messages.back().session_id.clear();
    place.send(messages);
    Receiver receiver{&place.queue};
    Worker worker{place.path, receiver, place.clock};

    SECTION("every message takes more than half the lock's time")
    {
        const auto connection =
            worker.bus.subscribe_to_all([&](const escqrs::PublishedEvent&) { place.clock.advance(40s); });
        CHECK(worker.worker.work_once() == BatchResult{6, 6, 0, 0});
        CHECK(receiver.renewals == 10); // five times, for the session and for the message without one
        CHECK(receiver.lost == 0);
        CHECK(place.queue.counts() == empty_queue);
    }
    SECTION("a lock that was lost all the same costs nothing but a second delivery")
    {
        bool slow = true;
        const auto connection = worker.bus.subscribe_to_all([&](const escqrs::PublishedEvent&) {
            if (std::exchange(slow, false)) place.clock.advance(2min);
        });
        CHECK(worker.worker.work_once() == BatchResult{6, 0, 0, 0, 6});
        CHECK(place.queue.counts().active == 6);
        place.work();
        CHECK(place.queue.counts() == empty_queue);
    }
    CHECK(place.model.attendees() == place.history.fold());
    CHECK(place.model.mails() == place.history.owed_mails());
}
