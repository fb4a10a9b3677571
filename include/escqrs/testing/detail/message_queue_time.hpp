// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/testing/detail/message_queue_fixture.hpp>

namespace escqrs::inline v0::testing {

namespace detail {

/// Checks what must hold when the machine's time of day is set: a fixture that can set it has
/// `set_time_of_day(Timestamp)`.
template <class MakeFixture>
void check_set_clock(MakeFixture make, const std::string& session, Duration by)
{
    MessageQueueOptions wished;
    wished.duplicate_detection_window = wished.lock_duration * 2;
    auto fixture = make(wished);
    auto& queue = fixture.queue();
    const Duration lock_duration = fixture.options().lock_duration;
    send_one(queue, make_message("held", session));
    ReceivedMessage held = receive_one(fixture);

    // A lock lasts as long as intended, also one that is renewed, and one of a queue that is opened again.
    fixture.set_time_of_day(fixture.now() + by);
    fixture.advance(lock_duration - std::chrono::seconds{1});
    CHECK(receive(fixture).empty());
    queue.renew_lock(held);
    CHECK(held.locked_until == fixture.now() + lock_duration);
    static_cast<void>(fixture.reopen());
    fixture.set_time_of_day(fixture.now() + by);
    fixture.advance(lock_duration - std::chrono::seconds{1});
    CHECK(receive(fixture).empty());
    fixture.advance(std::chrono::seconds{1});
    const ReceivedMessage again = receive_one(fixture);
    CHECK(again.message.message_id == "held");
    require_lock_lost(fixture, held);

    // So does the window of duplicates: a lock's time is left of it, less a second.
    fixture.set_time_of_day(fixture.now() - by);
    fixture.queue().settle(again, Complete{});
    send_one(fixture.queue(), make_message("seen", session));
    fixture.set_time_of_day(fixture.now() + by);
    fixture.advance(2 * lock_duration - std::chrono::seconds{1});
    send_one(fixture.queue(), make_message("seen", session));
    CHECK(fixture.queue().counts().active == 1);
    fixture.advance(std::chrono::seconds{1});
    send_one(fixture.queue(), make_message("seen", session));
    CHECK(fixture.queue().counts().active == 2);
}

} // namespace detail

/// Checks the order of messages that time has made available, and that neither a clock that is set nor a duration
/// without an end does harm.
/// @param make  makes a fixture for the options that a test wants
template <class MakeFixture>
void check_message_queue_time(MakeFixture make)
{
    using Fixture = std::invoke_result_t<MakeFixture&, const MessageQueueOptions&>;
    constexpr bool can_set_clock = requires(Fixture& fixture) { fixture.set_time_of_day(Timestamp{}); };

    SECTION("a scheduled message that has fallen due stands before those that are sent after that")
    {
        auto fixture = make(MessageQueueOptions{});
        auto& queue = fixture.queue();
        const Duration step = fixture.options().lock_duration / 4;
        for (const std::string session : {"", "session"}) {
            Message second = detail::make_message("second" + session, session);
            second.scheduled_enqueue_time = fixture.now() + step;
            detail::send_all(queue, {"first" + session}, session);
            detail::send_one(queue, second);
            fixture.advance(step);
            detail::send_all(queue, {"third" + session}, session);
            const auto received = detail::receive(fixture);
            CHECK(detail::ids_of(received) == std::vector{"first" + session, "second" + session, "third" + session});
            detail::complete_all(fixture, received);
        }
    }
    SECTION("a scheduled message that has fallen due stands before a dead letter that is given back after that")
    {
        auto fixture = make(MessageQueueOptions{});
        auto& queue = fixture.queue();
        const Duration step = fixture.options().lock_duration / 4;
        detail::send_all(queue, {"dead"});
        queue.settle(detail::receive_one(fixture), DeadLetter{"reason", "description"});
        Message due = detail::make_message("due");
        due.scheduled_enqueue_time = fixture.now() + step;
        detail::send_one(queue, due);
        fixture.advance(step);
        CHECK(queue.resubmit("dead"));
        CHECK(detail::ids_of(detail::receive(fixture)) == std::vector<std::string>{"due", "dead"});
    }
    SECTION("a wait without an end ends with a message, and with a request to stop")
    {
        auto fixture = make(MessageQueueOptions{});
        {
            detail::WaitingReceiver receiver{fixture.queue(), 1, Duration::max()};
            CHECK_FALSE(receiver.is_done_within(std::chrono::milliseconds{20}));
            detail::send_all(fixture.queue(), {"1"});
            CHECK(detail::ids_of(receiver.result()) == std::vector<std::string>{"1"});
        }
        detail::WaitingReceiver receiver{fixture.queue(), 1, Duration::max()};
        CHECK_FALSE(receiver.is_done_within(std::chrono::milliseconds{20}));
        receiver.stop();
        CHECK(receiver.result().empty());
    }
    if constexpr (can_set_clock) { // a queue of this library; a broker may take sessions in another order
        SECTION("a session whose lock has run out stands in line before one that comes after that")
        {
            auto fixture = make(MessageQueueOptions{});
            detail::send_all(fixture.queue(), {"held"}, "first");
            CHECK(detail::receive(fixture).size() == 1);
            detail::let_lock_run_out(fixture);
            detail::send_all(fixture.queue(), {"new"}, "second");
            CHECK(detail::receive_one(fixture).message.message_id == "held");
            CHECK(detail::receive_one(fixture).message.message_id == "new");
        }
        SECTION("locks and the window of duplicates last as long when the time of day is set")
        {
            for (const Duration by : {-std::chrono::hours{24}, std::chrono::hours{24}}) {
                for (const char* const session : {"", "session"}) detail::check_set_clock(make, session, by);
            }
        }
        SECTION("a scheduled message is due by the time of day, also if that is set while a receiver waits")
        {
            auto fixture = make(MessageQueueOptions{});
            Message scheduled = detail::make_message("1");
            scheduled.scheduled_enqueue_time = fixture.now() + std::chrono::hours{48};
            detail::send_one(fixture.queue(), scheduled);
            detail::WaitingReceiver receiver{fixture.queue(), 1, Duration::max()};
            CHECK_FALSE(receiver.is_done_within(std::chrono::milliseconds{20}));
            fixture.set_time_of_day(*scheduled.scheduled_enqueue_time);
            for (int minute = 0; minute < 2 && !receiver.is_done_within(std::chrono::milliseconds{20}); ++minute) {
                fixture.advance(std::chrono::minutes{1});
            }
            CHECK(detail::ids_of(receiver.result()) == std::vector<std::string>{"1"});
        }
        SECTION("durations without an end have none: locks, and the window of duplicates")
        {
            MessageQueueOptions wished;
            wished.lock_duration = Duration::max();
            wished.duplicate_detection_window = Duration::max();
            auto fixture = make(wished);
            auto& queue = fixture.queue();
            for (const std::string session : {"", "session"}) {
                detail::send_all(queue, {"1" + session}, session);
                ReceivedMessage received = detail::receive_one(fixture);
                CHECK(received.locked_until == Timestamp::max());
                fixture.advance(std::chrono::hours{24 * 365});
                CHECK(detail::receive(fixture).empty());
                queue.renew_lock(received);
                CHECK(received.locked_until == Timestamp::max());
                queue.settle(received, Complete{});
                detail::send_all(queue, {"1" + session}, session);
                CHECK(detail::receive(fixture).empty());
            }
        }
    }
}

} // namespace escqrs::inline v0::testing
