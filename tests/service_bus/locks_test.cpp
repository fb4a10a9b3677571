// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

// Messages under lock: renewal, loss, giving back, and those that nobody can read.
#include "emulator_queue.hpp"

#include <escqrs/testing/catch2.hpp>

#include <chrono>
#include <set>
#include <string>
#include <vector>

namespace {

using namespace std::chrono_literals;
using namespace service_bus_test;
using Catch::Matchers::Contains;

boost::json::object with_lock_of(std::chrono::milliseconds duration, bool sessions)
{
    return {{"requiresSession", sessions}, {"lockDurationMs", duration.count()}};
}

/// For tests that move time on in leaps: an answer that is on its way meanwhile is not to seem late.
QueueSettings patient(const EmulatorQueue& place)
{
    QueueSettings settings = place.settings();
    settings.connection.operation_timeout = 1h;
    return settings;
}

std::uint64_t count(const char* what) { return Emulator::shared().stats().at(what).to_number<std::uint64_t>(); }

} // namespace

TEST_CASE("locks are renewed while the handler works, a message's as well as a session's", "[faults]")
{
    const bool sessions = GENERATE(false, true);
    const EmulatorQueue place{with_lock_of(30s, sessions)};
    MessageQueue queue{patient(place)};
    send(queue, make_message("long", sessions ? "session" : ""));
    const auto held = receive_all(queue, 1);
    REQUIRE(held.size() == 1);
    const auto renewals = Emulator::shared().stats().at("renewals").to_number<int>();
    for (int step = 1; step <= 10; ++step) {
        Emulator::shared().advance(21s); // within the last ten seconds of the lock
        REQUIRE(
            eventually([&] { return Emulator::shared().stats().at("renewals").to_number<int>() >= renewals + step; }));
    }
    CHECK(place.counts().locked == 1);
    CHECK_FALSE(held[0].lock_lost.stop_requested());
    CHECK_NOTHROW(queue.settle(held[0], escqrs::Complete{}));
    CHECK(place.counts().to_be_handled() == 0);
}

TEST_CASE("a lock is renewed in time when the machine's clock is set while it is held", "[faults]")
{
    const bool sessions = GENERATE(false, true);
    const escqrs::Duration by = GENERATE(-1h, 1h);
    const EmulatorQueue place{with_lock_of(30s, sessions)};
    MessageQueue queue{patient(place)};
    send(queue, make_message("long", sessions ? "session" : ""));
    const auto held = receive_all(queue, 1);
    REQUIRE(held.size() == 1);
    const auto renewals = count("renewals");
    Emulator::shared().clock().set_wrong_by(by);
    Emulator::shared().advance(21s); // within the last ten seconds of the lock
    const bool is_renewed = eventually([&] { return count("renewals") > renewals; });
    Emulator::shared().clock().set_wrong_by(0s);
    CHECK(is_renewed);
    CHECK_FALSE(held[0].lock_lost.stop_requested());
    CHECK_NOTHROW(queue.settle(held[0], escqrs::Complete{}));
}

TEST_CASE("a lost lock: the handler is told, settling does not pretend, and the message comes again", "[faults]")
{
    const bool sessions = GENERATE(false, true);
    const EmulatorQueue place{with_lock_of(30s, sessions)};
    QueueSettings settings = patient(place);
    settings.receiver.max_lock_renewal = 0s;
    MessageQueue queue{settings};
    send(queue, make_message("late", sessions ? "session" : ""));
    const auto held = receive_all(queue, 1);
    REQUIRE(held.size() == 1);
    CHECK_FALSE(held[0].lock_lost.stop_requested());
    Emulator::shared().advance(31s);
    CHECK(eventually([&] { return held[0].lock_lost.stop_requested(); }));
    CHECK_THROWS_AS(queue.settle(held[0], escqrs::Complete{}), escqrs::MessageLockLost);
    const auto again = receive_all(queue, 1);
    REQUIRE(ids_of(again) == std::vector<std::string>{"late"});
    CHECK(again[0].delivery_count == 2);
    queue.settle(again[0], escqrs::Complete{});
    CHECK(place.counts().to_be_handled() == 0);
}

TEST_CASE("a lock goes with the session's connection: the handler is told at once", "[faults]")
{
    const EmulatorQueue place{with_lock_of(5min, true)};
    MessageQueue queue{place.settings()};
    send(queue, make_message("held", "session"));
    const auto held = receive_all(queue, 1);
    REQUIRE(held.size() == 1);
    Emulator::shared().fault("drop");
    CHECK(eventually([&] { return held[0].lock_lost.stop_requested(); }));
    const auto again = receive_all(queue, 1);
    REQUIRE(ids_of(again) == std::vector<std::string>{"held"});
    CHECK(again[0].delivery_count == 1); // nobody is to blame
    queue.settle(again[0], escqrs::Complete{});
}

TEST_CASE("renewing by hand moves the lock's end on, and fails when the lock is lost", "[faults]")
{
    const bool sessions = GENERATE(false, true);
    const EmulatorQueue place{with_lock_of(30s, sessions)};
    QueueSettings settings = patient(place);
    settings.receiver.max_lock_renewal = 0s;
    MessageQueue queue{settings};
    send(queue, make_message("held", sessions ? "session" : ""));
    auto held = receive_all(queue, 1);
    REQUIRE(held.size() == 1);
    const auto first = held[0].locked_until;
    Emulator::shared().advance(20s);
    queue.renew_lock(held[0]);
    CHECK(held[0].locked_until >= first + 19s);
    Emulator::shared().advance(20s);
    CHECK_FALSE(held[0].lock_lost.stop_requested());
    Emulator::shared().advance(11s);
    CHECK_THROWS_AS(queue.renew_lock(held[0]), escqrs::MessageLockLost);
}

TEST_CASE("a renewal that the broker has no time for loses no lock", "[faults]")
{
    const bool sessions = GENERATE(false, true);
    const EmulatorQueue place{with_lock_of(30s, sessions)};
    MessageQueue queue{patient(place)};
    send(queue, make_message("held", sessions ? "session" : ""));
    auto held = receive_all(queue, 1);
    REQUIRE(held.size() == 1);
    queue.renew_lock(held[0]);
    const auto renewals = count("renewals");
    const auto refused = count("requestsRefused");
    Emulator::shared().fault("busy", {{"count", 1}});
    CHECK_THROWS_AS(queue.renew_lock(held[0]), escqrs::TransportError);
    CHECK_FALSE(held[0].lock_lost.stop_requested());
    Emulator::shared().fault("busy", {{"count", 1}});
    Emulator::shared().advance(21s);
    REQUIRE(eventually([&] { return count("requestsRefused") == refused + 2; }));
    Emulator::shared().advance(6s);
    CHECK(eventually([&] { return count("renewals") > renewals; }));
    Emulator::shared().advance(15s); // beyond what the first lock was for
    CHECK_FALSE(held[0].lock_lost.stop_requested());
    CHECK_NOTHROW(queue.settle(held[0], escqrs::Complete{}));
}

TEST_CASE("a lock that is over is renewed no more", "[faults]")
{
    const bool sessions = GENERATE(false, true);
    const EmulatorQueue place{with_lock_of(30s, sessions)};
    MessageQueue queue{patient(place)};
    send(queue, make_message("held", sessions ? "session" : ""));
    auto held = receive_all(queue, 1);
    REQUIRE(held.size() == 1);
    queue.renew_lock(held[0]);
    Emulator::shared().fault("busy", {{"count", 1'000'000}});
    const auto refused = count("requestsRefused");
    Emulator::shared().advance(21s);
    REQUIRE(eventually([&] { return count("requestsRefused") > refused; }));
    Emulator::shared().advance(10s);
    CHECK(eventually([&] { return held[0].lock_lost.stop_requested(); }));
    Emulator::shared().fault("busy", {{"count", 0}});
    const auto attempts = [] { return count("requestsRefused") + count("renewals"); };
    const auto before = attempts();
    std::this_thread::sleep_for(500ms); // several times as long as it takes to look
    CHECK(attempts() == before);
    CHECK_THROWS_AS(queue.settle(held[0], escqrs::Complete{}), escqrs::MessageLockLost);
    const auto again = receive_all(queue, 1);
    REQUIRE(ids_of(again) == std::vector<std::string>{"held"});
    queue.settle(again[0], escqrs::Complete{});
    CHECK(place.counts().to_be_handled() == 0);
}

TEST_CASE("the session of messages without one is renewed for as long as messages of it come", "[faults]")
{
    const EmulatorQueue place{with_lock_of(30s, true)};
    QueueSettings settings = patient(place);
    settings.receiver.max_lock_renewal = 60s;
    MessageQueue queue{settings};
    const auto renew_twice = [] {
        for (int step = 0; step < 2; ++step) {
            const auto renewals = count("renewals");
            Emulator::shared().advance(21s);
            REQUIRE(eventually([&] { return count("renewals") > renewals; }));
        }
    };
    send(queue, make_message("first"));
    const auto first = receive_all(queue, 1);
    REQUIRE(first.size() == 1);
    renew_twice();
    send(queue, make_message("second"));
    const auto second = receive_all(queue, 1);
    REQUIRE(second.size() == 1);
    queue.settle(first[0], escqrs::Complete{});
    renew_twice();
    CHECK_FALSE(second[0].lock_lost.stop_requested());
    CHECK_NOTHROW(queue.settle(second[0], escqrs::Complete{}));
}

TEST_CASE("clocks that disagree are named, and messages are handled under lock all the same", "[faults]")
{
    const bool sessions = GENERATE(false, true);
    const escqrs::Duration by = GENERATE(10min, -10min);
    const EmulatorQueue place{with_lock_of(30s, sessions)};
    ShiftedClock wrong;
    wrong.shift(place.emulator().clock().steady() - escqrs::system_clock().steady());
    wrong.set_wrong_by(by);
    QueueSettings settings = patient(place);
    settings.connection.clock = &wrong;
    MessageQueue queue{settings};
    MessageQueue sender{patient(place)};
    send(sender, make_message("m", sessions ? "session" : ""));
    const auto received = receive_all(queue, 1);
    REQUIRE(ids_of(received) == std::vector<std::string>{"m"});
    CHECK(received[0].locked_until > wrong.now());
    CHECK(received[0].delivery_count == 1);
    CHECK_FALSE(queue.health().problem());
    CHECK_THAT(queue.health().last_error,
               Contains(sessions ? "session 'session'" : "message 'm'") && Contains("do the clocks agree?"));
    const auto renewals = count("renewals");
    Emulator::shared().advance(21s);
    wrong.shift(21s);
    CHECK(eventually([&] { return count("renewals") > renewals; }));
    CHECK_FALSE(received[0].lock_lost.stop_requested());
    CHECK_NOTHROW(queue.settle(received[0], escqrs::Complete{}));
    CHECK(place.counts().to_be_handled() == 0);
}

TEST_CASE("a receive that is stopped at any moment leaves nothing locked behind it", "[faults]")
{
    const bool sessions = GENERATE(false, true);
    const EmulatorQueue place{{{"requiresSession", sessions}, {"lockDurationMs", 300'000}, {"maxDeliveryCount", 2}}};
    constexpr std::size_t count = 300;
    std::set<std::string> completed;
    {
        MessageQueue queue{place.settings()};
        MessageQueue sender{place.settings()};
        std::jthread sending{[&] {
            for (const auto& message : make_messages(count, sessions ? 7 : 0)) send(sender, message);
        }};
        for (int round = 0; completed.size() < count && round < 3000; ++round) {
            std::stop_source stop;
            std::jthread stopping{[&] {
                std::this_thread::sleep_for(std::chrono::microseconds{(round * 37) % 4000});
                stop.request_stop();
            }};
            const auto batch = queue.receive(20, 5s, stop.get_token());
            for (const auto& message : batch) {
                queue.settle(message, escqrs::Complete{});
                completed.insert(message.message.message_id);
            }
        }
    }
    CHECK(completed.size() == count);
    const auto counts = place.counts();
    CHECK(counts.locked == 0);
    CHECK(counts.active == 0);
    CHECK(counts.dead_lettered == 0); // what was given back did not count as a delivery
}

TEST_CASE("prefetched messages are there at once, in order, under lock, and go back uncounted", "[faults]")
{
    const EmulatorQueue place{with_lock_of(1min, false)};
    QueueSettings settings = place.settings();
    settings.receiver.prefetch = 5;
    {
        MessageQueue queue{settings};
        queue.send(make_messages(20, 0));
        const auto first = receive_all(queue, 2);
        REQUIRE(ids_of(first) == std::vector<std::string>{"message-0", "message-1"});
        CHECK(eventually([&] { return place.counts().locked == 7; }));
        Emulator::shared().fault("slow", {{"ms", 60'000}});
        const auto second = queue.receive(5, 0s, {}); // without a word from the broker
        Emulator::shared().fault("slow", {{"ms", 0}});
        CHECK(ids_of(second) ==
              std::vector<std::string>{"message-2", "message-3", "message-4", "message-5", "message-6"});
        for (const auto& message : second) queue.settle(message, escqrs::Complete{});
        for (const auto& message : first) queue.settle(message, escqrs::Complete{});
        const auto rest = receive_all(queue, 3);
        CHECK(rest.size() == 3);
    }
    CHECK(eventually([&] { return place.counts().active == 13; }));
    MessageQueue next{place.settings()};
    for (const auto& message : receive_all(next, 13)) CHECK(message.delivery_count == 1);
}

TEST_CASE("prefetched messages whose connection is lost come again, none is lost, and none completed twice", "[faults]")
{
    const EmulatorQueue place{{{"requiresSession", false}, {"lockDurationMs", 30'000}, {"maxDeliveryCount", 1000}}};
    QueueSettings settings = place.settings();
    settings.receiver.prefetch = 20;
    MessageQueue queue{settings};
    queue.send(make_messages(1000, 0));
    const auto drops = count("drops");
    std::jthread breaking{[](std::stop_token stop) {
        while (!stop.stop_requested()) {
            std::this_thread::sleep_for(30ms);
            Emulator::shared().fault("drop");
            Emulator::shared().advance(31s);
        }
    }};
    std::set<std::string> handled;
    std::multiset<std::string> completed;
    const auto is_empty = [&] { return place.counts().to_be_handled() == 0; };
    for (int round = 0; round < 3000 && !(handled.size() == 1000 && is_empty()); ++round) {
        try {
            for (const auto& message : queue.receive(10, 100ms, {})) {
                handled.insert(message.message.message_id);
                queue.settle(message, escqrs::Complete{});
                completed.insert(message.message.message_id);
            }
        } catch (const escqrs::TransportError&) {
            continue; // perhaps it was completed, perhaps not: then it comes again
        }
    }
    CHECK(count("drops") >= drops + 3);
    CHECK(handled.size() == 1000);
    for (const auto& id : completed) CHECK(completed.count(id) == 1);
    CHECK(is_empty());
}

TEST_CASE("a receive that is not to wait still gets what is there", "[faults]")
{
    const bool sessions = GENERATE(false, true);
    const EmulatorQueue place{with_lock_of(1min, sessions)};
    MessageQueue queue{place.settings()};
    send(queue, make_message("there", sessions ? "session" : ""));
    const auto received = queue.receive(10, 0s, {});
    REQUIRE(ids_of(received) == std::vector<std::string>{"there"});
    queue.settle(received[0], escqrs::Complete{});
    CHECK(queue.receive(10, 0s, {}).empty());
}

TEST_CASE("a process that ends gives back what it holds", "[faults]")
{
    const EmulatorQueue place{with_lock_of(5min, false)};
    {
        MessageQueue queue{place.settings()};
        queue.send(make_messages(10, 0));
        CHECK(receive_all(queue, 10).size() == 10);
        CHECK(place.counts().locked == 10);
    }
    CHECK(eventually([&] { return place.counts().active == 10; }));
    MessageQueue next{place.settings()};
    const auto again = receive_all(next, 10);
    REQUIRE(again.size() == 10);
    for (const auto& message : again) CHECK(message.delivery_count == 1);
}

TEST_CASE("a receiver may end while its connection goes on", "[faults]")
{
    using namespace service_bus;
    const EmulatorQueue place;
    AmqpConnectionOptions options = place.settings().connection;
    options.audiences = {place.name()};
    AmqpConnection connection{options};
    REQUIRE(eventually([&] { return connection.health().authorised; }));
    {
        ReceiverOptions plain;
        plain.sessions = false;
        MessageReceiver receiver{connection, place.name(), plain};
        CHECK(receiver.receive(10, 300ms, {}).empty());
    }
    std::this_thread::sleep_for(1500ms); // what the receiver had put off would be due
    CHECK(connection.health().authorised);
}

TEST_CASE("bytes that are no message are put aside, those behind them are handled", "[faults]")
{
    const bool sessions = GENERATE(false, true);
    const EmulatorQueue place{with_lock_of(1min, sessions)};
    MessageQueue queue{place.settings()};
    const std::vector<std::string> hostile{
        "",                 // no body
        "AFN1oAVoZWxs",     // a Data section shorter than it says
        "AFN3gQAAAAAAAAAB", // an AMQP value that is a number
        "AFN20AAAAAQAAAAB", // a sequence cut off
        "/////////////w==", // nothing at all
        "AFN1sP////8=",     // four gigabytes, says its length
        "AFNzwP//",         // properties without end
    };
    for (std::size_t at = 0; at < hostile.size(); ++at) {
        Emulator::shared().control(
            "POST", "/queues/" + place.name() + "/messages",
            {{"messageId", "hostile-" + std::to_string(at)}, {"sessionId", "session"}, {"base64", hostile[at]}});
    }
    send(queue, make_message("good", sessions ? "session" : ""));
    std::vector<std::string> handled;
    while (true) {
        const auto batch = queue.receive(20, 5s, {});
        REQUIRE_FALSE(batch.empty());
        for (const auto& message : batch) {
            handled.push_back(message.message.message_id);
            queue.settle(message, escqrs::Complete{});
        }
        if (handled.back() == "good") break;
    }
    const auto counts = place.counts();
    CHECK(counts.active + counts.locked == 0);
    CHECK(counts.dead_lettered + handled.size() == hostile.size() + 1);
    CHECK(counts.dead_lettered >= 5);
    CHECK_FALSE(queue.health().problem());
}
