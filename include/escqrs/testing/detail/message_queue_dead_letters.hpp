// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/testing/detail/message_queue_fixture.hpp>

namespace escqrs::inline v0::testing {

/// Checks which messages are dead-lettered, why, and how they come back.
/// @param make  makes a fixture for the options that a test wants
template <class MakeFixture>
void check_dead_letters(MakeFixture make)
{
    using Ids = std::vector<std::string>;
    MessageQueueOptions wished;
    wished.max_delivery_count = 3;
    auto fixture = make(wished);
    static_assert(MessageQueueFixture<decltype(fixture)>);
    auto& queue = fixture.queue();
    const std::uint32_t limit = fixture.options().max_delivery_count;

    SECTION("a dead-lettered message is kept, with reason and description")
    {
        Message sent = detail::make_message("1", "a", "body");
        sent.properties = {{"name", "value"}};
        detail::send_one(queue, sent);
        const ReceivedMessage received = detail::receive_one(fixture);
        queue.settle(received, DeadLetter{"CodecError", "byte 7 is not a digit"});
        detail::require_lock_lost(fixture, received);
        CHECK(queue.counts() == MessageQueueCounts{.dead_lettered = 1});
        detail::let_lock_run_out(fixture);
        CHECK(detail::receive(fixture).empty());
        const auto dead = queue.dead_letters(0, 10);
        REQUIRE(dead.size() == 1);
        CHECK(dead[0].message == sent);
        CHECK(dead[0].sequence_number == received.sequence_number);
        CHECK(dead[0].delivery_count == 1);
        CHECK(dead[0].enqueued_at == received.enqueued_at);
        CHECK(dead[0].dead_lettered_at >= received.enqueued_at);
        CHECK(dead[0].dead_lettered_at <= fixture.now());
        CHECK(dead[0].reason == "CodecError");
        CHECK(dead[0].description == "byte 7 is not a digit");
    }
    SECTION("they are listed page by page")
    {
        detail::send_all(queue, {"1", "2", "3", "4", "5"});
        for (const ReceivedMessage& message : detail::receive(fixture)) queue.settle(message, DeadLetter{});
        CHECK(queue.dead_letters(0, 0).empty());
        const auto first = queue.dead_letters(0, 2);
        REQUIRE(detail::ids_of(first) == Ids{"1", "2"});
        const auto second = queue.dead_letters(first.back().sequence_number, 2);
        REQUIRE(detail::ids_of(second) == Ids{"3", "4"});
        const auto third = queue.dead_letters(second.back().sequence_number, 2);
        REQUIRE(detail::ids_of(third) == Ids{"5"});
        CHECK(queue.dead_letters(third.back().sequence_number, 2).empty());
    }
    SECTION("a message abandoned too often is dead-lettered, and does not hold up its session")
    {
        detail::send_all(queue, {"1", "2"}, GENERATE(std::string{}, std::string{"a"}));
        for (std::uint32_t delivery = 1; delivery <= limit; ++delivery) {
            const ReceivedMessage received = detail::receive_one(fixture);
            REQUIRE(received.message.message_id == "1");
            REQUIRE(received.delivery_count == delivery);
            queue.settle(received, Abandon{{{"attempt", std::to_string(delivery)}}});
        }
        CHECK(queue.counts() == MessageQueueCounts{.active = 1, .dead_lettered = 1});
        const auto dead = queue.dead_letters(0, 10);
        REQUIRE(detail::ids_of(dead) == Ids{"1"});
        CHECK(dead[0].reason == "MaxDeliveryCountExceeded");
        CHECK_FALSE(dead[0].description.empty());
        CHECK(dead[0].delivery_count == limit);
        CHECK(dead[0].message.properties == MessageProperties{{"attempt", std::to_string(limit)}});
        CHECK(detail::receive_one(fixture).message.message_id == "2");
    }
    SECTION("a message whose lock ran out too often is dead-lettered, without another receive")
    {
        detail::send_all(queue, {"1"}, GENERATE(std::string{}, std::string{"a"}));
        for (std::uint32_t delivery = 1; delivery <= limit; ++delivery) {
            REQUIRE(detail::receive_one(fixture).delivery_count == delivery);
            detail::let_lock_run_out(fixture);
        }
        const auto dead = queue.dead_letters(0, 10);
        REQUIRE(detail::ids_of(dead) == Ids{"1"});
        CHECK(dead[0].reason == "MaxDeliveryCountExceeded");
        CHECK(dead[0].delivery_count == limit);
        CHECK(queue.counts() == MessageQueueCounts{.dead_lettered = 1});
        CHECK(detail::receive(fixture).empty());
    }
    SECTION("a resubmitted message is as one never delivered, at the end of its session, and no duplicate")
    {
        detail::send_all(queue, {"1", "2"}, "a");
        const ReceivedMessage first = detail::receive_one(fixture);
        queue.settle(first, Abandon{});
        const ReceivedMessage second = detail::receive_one(fixture);
        queue.settle(second, DeadLetter{"why", "because"});
        CHECK(queue.resubmit("1"));
        CHECK(queue.counts() == MessageQueueCounts{.active = 2});
        CHECK(queue.dead_letters(0, 10).empty());
        const auto received = detail::receive(fixture);
        REQUIRE(detail::ids_of(received) == Ids{"2", "1"});
        CHECK(received[1].delivery_count == 1);
        CHECK(received[1].message == first.message);
        CHECK(received[1].sequence_number > received[0].sequence_number);
    }
    SECTION("there is nothing to resubmit if none with the id was dead-lettered")
    {
        detail::send_all(queue, {"1"});
        CHECK_FALSE(queue.resubmit("1"));
        CHECK_FALSE(queue.resubmit("2"));
        queue.settle(detail::receive_one(fixture), DeadLetter{});
        CHECK(queue.resubmit("1"));
        CHECK_FALSE(queue.resubmit("1"));
        CHECK(queue.counts() == MessageQueueCounts{.active = 1});
    }
    SECTION("resubmitting wakes a waiting receiver")
    {
        detail::send_all(queue, {"1"});
        queue.settle(detail::receive_one(fixture), DeadLetter{});
        detail::WaitingReceiver receiver{queue, 1, fixture.options().lock_duration * 1000};
        CHECK_FALSE(receiver.is_done_within(std::chrono::milliseconds{20}));
        CHECK(queue.resubmit("1"));
        CHECK(detail::ids_of(receiver.result()) == Ids{"1"});
    }
    SECTION("long reasons and descriptions are cut between two characters")
    {
        detail::send_all(queue, {"1"});
        std::string description = std::string(4095, 'd') + "\xC3\xA9" + "tail";
        queue.settle(detail::receive_one(fixture), DeadLetter{std::string(5000, 'r'), description});
        const auto dead = queue.dead_letters(0, 10);
        REQUIRE(dead.size() == 1);
        CHECK(dead[0].reason == std::string(4096, 'r'));
        CHECK(dead[0].description == std::string(4095, 'd'));
    }
}

} // namespace escqrs::inline v0::testing
