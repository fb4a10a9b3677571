// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

// Messages under lock: renewal and loss.
#include "emulator_queue.hpp"

#include <escqrs/testing/catch2.hpp>

#include <chrono>
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

TEST_CASE("a lost lock: the handler is notified, settling does not pretend, and the message comes again", "[faults]")
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

TEST_CASE("a lock goes with the session's connection: the handler is notified at once", "[faults]")
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
    CHECK(again[0].delivery_count == 1); // no failure is counted
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
