// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/testing/detail/message_queue_fixture.hpp>

#include <algorithm>
#include <set>

namespace escqrs::inline v0::testing {

/// Checks order, exclusive holders, and fairness of sessions.
/// @param make  makes a fixture for the options that a test wants
template <class MakeFixture>
void check_message_sessions(MakeFixture make)
{
    using Ids = std::vector<std::string>;
    auto fixture = make(MessageQueueOptions{});
    static_assert(MessageQueueFixture<decltype(fixture)>);
    auto& queue = fixture.queue();
    const MessageQueueOptions options = fixture.options();

    SECTION("messages of a session come in order, and one receive gets several of them")
    {
        detail::send_all(queue, {"1", "2", "3"}, "a");
        detail::send_all(queue, {"4", "5"}, "a");
        const auto first = detail::receive(fixture, 2);
        CHECK(detail::ids_of(first) == Ids{"1", "2"});
        CHECK(first[0].sequence_number < first[1].sequence_number);
        detail::complete_all(fixture, first);
        CHECK(detail::ids_of(detail::receive(fixture)) == Ids{"3", "4", "5"});
    }
    SECTION("while a message of a session is unsettled no other receive gets the session; other sessions continue")
    {
        detail::send_all(queue, {"a1", "a2", "a3", "a4"}, "a");
        const auto held = detail::receive(fixture, 2);
        REQUIRE(detail::ids_of(held) == Ids{"a1", "a2"});
        detail::send_all(queue, {"b1", "b2"}, "b");
        detail::send_all(queue, {"a5"}, "a");
        CHECK(queue.counts() == MessageQueueCounts{.active = 5, .locked = 2});
        const auto other = detail::receive(fixture);
        CHECK(detail::ids_of(other) == Ids{"b1", "b2"});
        queue.settle(held[0], Complete{});
        CHECK(detail::receive(fixture).empty());
        queue.settle(held[1], Complete{});
        CHECK(detail::ids_of(detail::receive(fixture)) == Ids{"a3", "a4", "a5"});
        detail::complete_all(fixture, other);
    }
    SECTION("a message sent to a session whose messages are all held comes when they are settled")
    {
        detail::send_all(queue, {"1"}, "a");
        const ReceivedMessage first = detail::receive_one(fixture);
        detail::send_all(queue, {"2"}, "a");
        CHECK(detail::receive(fixture).empty());
        queue.settle(first, Complete{});
        detail::require_lock_lost(fixture, first);
        CHECK(detail::receive_one(fixture).message.message_id == "2");
    }
    SECTION("messages settled out of order keep the session with its holder until the last one is settled")
    {
        detail::send_all(queue, {"1", "2", "3"}, "a");
        const auto held = detail::receive(fixture, 2);
        queue.settle(held[1], Complete{});
        CHECK(detail::receive(fixture).empty());
        queue.settle(held[0], Complete{});
        CHECK(detail::receive_one(fixture).message.message_id == "3");
    }
    SECTION("abandoning gives the later ones back as well, uncounted, and leaves the earlier ones")
    {
        detail::send_all(queue, {"1", "2", "3", "4"}, "a");
        const auto held = detail::receive(fixture, 3);
        REQUIRE(held.size() == 3);
        queue.settle(held[1], Abandon{});
        CHECK(queue.counts() == MessageQueueCounts{.active = 3, .locked = 1});
        detail::require_lock_lost(fixture, held[1]);
        detail::require_lock_lost(fixture, held[2]);
        CHECK(detail::receive(fixture).empty());
        queue.settle(held[0], Complete{});
        const auto again = detail::receive(fixture);
        REQUIRE(detail::ids_of(again) == Ids{"2", "3", "4"});
        CHECK(again[0].delivery_count == 2);
        CHECK(again[1].delivery_count == 1);
        CHECK(again[2].delivery_count == 1);
    }
    SECTION("in a batch of settlements an abandoned message takes the lock of the later ones")
    {
        detail::send_all(queue, {"1", "2", "3"}, "a");
        detail::send_all(queue, {"b1"}, "b");
        const auto held = detail::receive(fixture);
        REQUIRE(held.size() == 4);
        std::vector<Settlement> settlements;
        for (const ReceivedMessage& message : held) settlements.push_back({message, Complete{}});
        settlements[1].disposition = Abandon{};
        using enum SettlementResult;
        CHECK(queue.settle(settlements) == std::vector<SettlementResult>{settled, settled, lock_lost, settled});
        CHECK(detail::ids_of(detail::receive(fixture)) == Ids{"2", "3"});
    }
    SECTION("a dead-lettered message does not hold up its session")
    {
        detail::send_all(queue, {"1", "2", "3"}, "a");
        const auto held = detail::receive(fixture, 2);
        queue.settle(held[0], DeadLetter{"bad", "message"});
        CHECK(detail::receive(fixture).empty());
        queue.settle(held[1], Complete{});
        CHECK(detail::receive_one(fixture).message.message_id == "3");
    }
    SECTION("a session whose lock runs out comes again from its first unsettled message on")
    {
        detail::send_all(queue, {"1", "2", "3", "4"}, "a");
        const auto held = detail::receive(fixture, 3);
        queue.settle(held[0], Complete{});
        detail::let_lock_run_out(fixture);
        detail::require_lock_lost(fixture, held[1]);
        const auto again = detail::receive(fixture);
        REQUIRE(detail::ids_of(again) == Ids{"2", "3", "4"});
        CHECK(again[0].delivery_count == 2);
        CHECK(again[1].delivery_count == 2);
        CHECK(again[2].delivery_count == 1);
        detail::require_lock_lost(fixture, held[1]);
        detail::require_lock_lost(fixture, held[2]);
        detail::complete_all(fixture, again);
    }
    SECTION("renewing one message's lock renews its session's")
    {
        detail::send_all(queue, {"1", "2"}, "a");
        auto held = detail::receive(fixture);
        for (int round = 0; round < 3; ++round) {
            fixture.advance(options.lock_duration * 3 / 4);
            queue.renew_lock(held[1]);
            CHECK(held[1].locked_until > fixture.now());
        }
        CHECK(detail::receive(fixture).empty());
        queue.settle(held[0], Complete{});
        ReceivedMessage settled = held[0];
        CHECK_THROWS_AS(queue.renew_lock(settled), MessageLockLost);
        queue.settle(held[1], Complete{});
        CHECK(queue.counts() == MessageQueueCounts{});
    }
    SECTION("a token of one session is none for another")
    {
        detail::send_all(queue, {"a1"}, "a");
        const ReceivedMessage a = detail::receive_one(fixture);
        detail::send_all(queue, {"b1"}, "b");
        ReceivedMessage b = detail::receive_one(fixture);
        b.lock_token = a.lock_token;
        detail::require_lock_lost(fixture, b);
        ReceivedMessage without_session = a;
        without_session.message.session_id.clear();
        detail::require_lock_lost(fixture, without_session);
    }
    SECTION("a scheduled message takes its place in the session when it is due")
    {
        Message scheduled = detail::make_message("scheduled", "a");
        scheduled.scheduled_enqueue_time = fixture.now() + options.lock_duration / 4;
        detail::send_one(queue, scheduled);
        detail::send_all(queue, {"1"}, "a");
        fixture.advance(options.lock_duration / 4);
        CHECK(queue.counts() == MessageQueueCounts{.active = 2});
        detail::send_all(queue, {"2"}, "a");
        CHECK(detail::ids_of(detail::receive(fixture)) == Ids{"1", "scheduled", "2"});
    }
    SECTION("a busy session does not starve the others")
    {
        std::vector<std::string> busy;
        for (int number = 0; number < 30; ++number) busy.push_back("busy-" + std::to_string(number));
        detail::send_all(queue, busy, "busy");
        std::set<std::string> waiting;
        for (const char* session : {"a", "b", "c", "d", "e"}) {
            for (const char* number : {"-1", "-2"}) {
                waiting.insert(std::string{session} + number);
                detail::send_all(queue, {std::string{session} + number}, session);
            }
        }
        int deliveries = 0;
        while (!waiting.empty() && deliveries < 100) {
            const ReceivedMessage received = detail::receive_one(fixture);
            waiting.erase(received.message.message_id);
            queue.settle(received, Complete{});
            detail::send_all(queue, {"more-" + std::to_string(deliveries++)}, "busy");
        }
        CHECK(waiting.empty());
        CHECK(deliveries <= 15);
    }
    SECTION("a message that is abandoned over and over does not starve the other sessions")
    {
        detail::send_all(queue, {"poison"}, "p");
        detail::send_all(queue, {"good"}, "g");
        const ReceivedMessage poison = detail::receive_one(fixture);
        REQUIRE(poison.message.message_id == "poison");
        queue.settle(poison, Abandon{});
        CHECK(detail::receive_one(fixture).message.message_id == "good");
    }
    SECTION("sessions do not starve messages without a session, nor these the sessions")
    {
        std::vector<std::string> in_session;
        std::vector<std::string> single;
        for (int number = 0; number < 20; ++number) {
            in_session.push_back("s-" + std::to_string(number));
            single.push_back("n-" + std::to_string(number));
        }
        detail::send_all(queue, in_session, "s");
        detail::send_all(queue, single);
        std::ptrdiff_t from_session = 0;
        for (int delivery = 0; delivery < 12; ++delivery) {
            const ReceivedMessage received = detail::receive_one(fixture);
            if (received.message.session_id == "s") ++from_session;
            queue.settle(received, Complete{});
        }
        CHECK(from_session >= 3);
        CHECK(from_session <= 9);
    }
}

} // namespace escqrs::inline v0::testing
