// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/stop_token.hpp>
#include <escqrs/testing/detail/message_queue_fixture.hpp>

namespace escqrs::inline v0::testing {

/// Checks sending, receiving under a lock, settling, and waiting.
/// @param make  makes a fixture for the options that a test wants
template <class MakeFixture>
void check_message_delivery(MakeFixture make)
{
    auto fixture = make(MessageQueueOptions{});
    static_assert(MessageQueueFixture<decltype(fixture)>);
    auto& queue = fixture.queue();
    const MessageQueueOptions options = fixture.options();

    SECTION("a message arrives as it was sent, under a lock")
    {
        Message sent = detail::make_message("id-1", "session-1", std::string{"\0\xFF body", 7});
        sent.subject = "AttendeeRegistered";
        sent.correlation_id = "correlation";
        sent.content_type = "application/json";
        sent.properties = {{"z", "last"}, {"a", std::string{"\0nul", 4}}, {"empty", ""}};
        const Timestamp before = fixture.now();
        detail::send_one(queue, sent);
        CHECK(queue.counts() == MessageQueueCounts{.active = 1});
        const ReceivedMessage received = detail::receive_one(fixture);
        CHECK(received.message == sent);
        CHECK(received.delivery_count == 1);
        CHECK(received.sequence_number > 0);
        CHECK(received.enqueued_at >= before);
        CHECK(received.enqueued_at <= fixture.now());
        CHECK(received.locked_until > fixture.now());
        CHECK(received.locked_until <= fixture.now() + options.lock_duration);
        CHECK_FALSE(received.lock_token.empty());
        CHECK(queue.counts() == MessageQueueCounts{.locked = 1});
        CHECK(detail::receive(fixture).empty());
        queue.settle(received, Complete{});
        CHECK(queue.counts() == MessageQueueCounts{});
        detail::let_lock_run_out(fixture);
        CHECK(detail::receive(fixture).empty());
    }
    SECTION("messages without a session are handed out in order, at most as many as asked for")
    {
        detail::send_all(queue, {"1", "2", "3"});
        detail::send_all(queue, {"4", "5"});
        CHECK(detail::receive(fixture, 0).empty());
        const auto first = detail::receive(fixture, 2);
        CHECK(detail::ids_of(first) == std::vector<std::string>{"1", "2"});
        CHECK(first[0].sequence_number < first[1].sequence_number);
        CHECK(detail::ids_of(detail::receive(fixture, 100)) == std::vector<std::string>{"3", "4", "5"});
    }
    SECTION("an empty batch is nothing")
    {
        queue.send({});
        CHECK(queue.counts() == MessageQueueCounts{});
        CHECK(queue.settle(std::span<const Settlement>{}).empty());
    }
    SECTION("a message whose lock runs out is delivered again, and its first holder has lost it")
    {
        detail::send_all(queue, {"1"});
        const ReceivedMessage first = detail::receive_one(fixture);
        detail::let_lock_run_out(fixture);
        CHECK(queue.counts() == MessageQueueCounts{.active = 1});
        detail::require_lock_lost(fixture, first);
        const ReceivedMessage second = detail::receive_one(fixture);
        CHECK(second.delivery_count == 2);
        CHECK(second.sequence_number == first.sequence_number);
        CHECK(second.enqueued_at == first.enqueued_at);
        CHECK(second.lock_token != first.lock_token);
        detail::require_lock_lost(fixture, first);
        queue.settle(second, Complete{});
        detail::require_lock_lost(fixture, second);
    }
    SECTION("renewing keeps the lock, and counts no delivery")
    {
        detail::send_all(queue, {"1"});
        ReceivedMessage received = detail::receive_one(fixture);
        for (int round = 0; round < 3; ++round) {
            fixture.advance(options.lock_duration * 3 / 4);
            const Timestamp before = received.locked_until;
            queue.renew_lock(received);
            CHECK(received.locked_until > before);
            CHECK(detail::receive(fixture).empty());
        }
        CHECK(queue.counts() == MessageQueueCounts{.locked = 1});
        queue.settle(received, Abandon{});
        CHECK(detail::receive_one(fixture).delivery_count == 2);
    }
    SECTION("an abandoned message is delivered again at once, with the properties added")
    {
        Message sent = detail::make_message("1", "", "body");
        sent.properties = {{"attempt", "none"}, {"kept", "as it was"}};
        detail::send_one(queue, sent);
        const ReceivedMessage first = detail::receive_one(fixture);
        queue.settle(first, Abandon{{{"attempt", "first"}, {"error", "timeout"}}});
        detail::require_lock_lost(fixture, first);
        const ReceivedMessage second = detail::receive_one(fixture);
        CHECK(second.delivery_count == 2);
        CHECK(second.message.body == "body");
        CHECK(second.message.properties ==
              MessageProperties{{"attempt", "first"}, {"kept", "as it was"}, {"error", "timeout"}});
    }
    SECTION("an abandoned message keeps its place")
    {
        detail::send_all(queue, {"1", "2", "3"});
        const ReceivedMessage first = detail::receive_one(fixture);
        queue.settle(first, Abandon{});
        CHECK(detail::ids_of(detail::receive(fixture)) == std::vector<std::string>{"1", "2", "3"});
    }
    SECTION("abandoning with properties that make the message too large changes nothing")
    {
        detail::send_all(queue, {"1", "2"});
        const auto received = detail::receive(fixture);
        REQUIRE(received.size() == 2);
        const std::vector<Settlement> settlements{
            {received[0], Complete{}}, {received[1], Abandon{{{"large", std::string(options.max_message_size, 'x')}}}}};
        CHECK_THROWS_AS(queue.settle(settlements), TransportError);
        CHECK(queue.counts() == MessageQueueCounts{.locked = 2});
        detail::complete_all(fixture, received);
    }
    SECTION("of several settlements each fails alone")
    {
        detail::send_all(queue, {"1", "2", "3", "4", "5"});
        const auto received = detail::receive(fixture);
        REQUIRE(received.size() == 5);
        queue.settle(received[1], Complete{});
        ReceivedMessage forged = received[3];
        forged.lock_token.back() = forged.lock_token.back() == '0' ? '1' : '0';
        const std::vector<Settlement> settlements{
            {received[0], Complete{}}, {received[1], Complete{}}, {received[2], DeadLetter{"bad", "very"}},
            {forged, Complete{}},      {received[4], Abandon{}},  {received[0], Abandon{}}};
        using enum SettlementResult;
        CHECK(queue.settle(settlements) ==
              std::vector<SettlementResult>{settled, lock_lost, settled, lock_lost, settled, lock_lost});
        CHECK(queue.counts() == MessageQueueCounts{.active = 1, .locked = 1, .dead_lettered = 1});
        CHECK(detail::receive_one(fixture).message.message_id == "5");
        queue.settle(received[3], Complete{});
    }
    SECTION("a message that no lock belongs to is refused, whatever its token")
    {
        detail::send_all(queue, {"1"});
        ReceivedMessage invented;
        invented.message.message_id = "1";
        for (const char* token : {"", "00000000-0000-0000-0000-000000000000", "not a token"}) {
            for (std::uint64_t number : {0U, 1U, 2U}) {
                invented.lock_token = token;
                invented.sequence_number = number;
                detail::require_lock_lost(fixture, invented);
                invented.message.session_id = "1";
                detail::require_lock_lost(fixture, invented);
                invented.message.session_id.clear();
            }
        }
        CHECK(queue.counts() == MessageQueueCounts{.active = 1});
    }
    SECTION("a waiting receiver gives up after its wait")
    {
        const Duration wait = options.lock_duration / 2;
        detail::WaitingReceiver receiver{queue, 1, wait};
        for (int round = 0; round < 2000 && !receiver.is_done_within(std::chrono::milliseconds{5}); ++round) {
            fixture.advance(wait);
        }
        CHECK(receiver.result().empty());
    }
    SECTION("a waiting receiver is woken by a send, an abandon, and a lock that runs out")
    {
        const Duration wait = options.lock_duration * 1000;
        detail::WaitingReceiver first{queue, 1, wait};
        CHECK_FALSE(first.is_done_within(std::chrono::milliseconds{20}));
        detail::send_all(queue, {"1"});
        const auto sent = first.result();
        REQUIRE(detail::ids_of(sent) == std::vector<std::string>{"1"});
        detail::WaitingReceiver second{queue, 1, wait};
        CHECK_FALSE(second.is_done_within(std::chrono::milliseconds{20}));
        queue.settle(sent.front(), Abandon{});
        REQUIRE(detail::ids_of(second.result()) == std::vector<std::string>{"1"});
        detail::WaitingReceiver third{queue, 1, wait};
        CHECK_FALSE(third.is_done_within(std::chrono::milliseconds{20}));
        detail::let_lock_run_out(fixture);
        const auto expired = third.result();
        REQUIRE(detail::ids_of(expired) == std::vector<std::string>{"1"});
        CHECK(expired.front().delivery_count == 3);
    }
    SECTION("a waiting receiver leaves when it is asked to stop, and takes nothing when it was asked before")
    {
        detail::WaitingReceiver receiver{queue, 1, options.lock_duration * 1000};
        CHECK_FALSE(receiver.is_done_within(std::chrono::milliseconds{20}));
        receiver.stop();
        CHECK(receiver.result().empty());
        detail::send_all(queue, {"1"});
        stop_source stop;
        stop.request_stop();
        CHECK(queue.receive(1, fixture.patience(), stop.get_token()).empty());
        CHECK(queue.counts() == MessageQueueCounts{.active = 1});
    }
}

} // namespace escqrs::inline v0::testing
