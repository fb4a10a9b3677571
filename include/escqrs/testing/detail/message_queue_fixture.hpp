// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/stop_token.hpp>
#include <escqrs/messaging/message_queue.hpp>
#include <escqrs/testing/catch2.hpp>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <future>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace escqrs::inline v0::testing {

/// A queue under test, and how time passes for it. Each new fixture begins with an empty queue.
///
/// - `queue()` models `MessageSender`, `MessageReceiver` and `DeadLetterQueue`, and has `counts()`.
/// - `options()` are the options in effect, where the queue cannot do what the test wants.
/// - `now()` is the queue's time, `advance(duration)` returns when that much of it has passed.
/// - `patience()` is how long a receive may need for a message that is there: 0 for a queue on this machine.
/// - `reopen()` closes the queue and opens it again; false if it is not durable.
/// - `set_time_of_day(moment)`, if it exists, sets the queue's time of day, which lets no time pass.
template <class Fixture>
concept MessageQueueFixture = requires(Fixture& fixture, Duration duration) {
    requires MessageSender<std::remove_cvref_t<decltype(fixture.queue())>>;
    requires MessageReceiver<std::remove_cvref_t<decltype(fixture.queue())>>;
    requires DeadLetterQueue<std::remove_cvref_t<decltype(fixture.queue())>>;
    { fixture.queue().counts() } -> std::same_as<MessageQueueCounts>;
    { fixture.options() } -> std::convertible_to<MessageQueueOptions>;
    { fixture.now() } -> std::same_as<Timestamp>;
    { fixture.patience() } -> std::convertible_to<Duration>;
    { fixture.reopen() } -> std::same_as<bool>;
    fixture.advance(duration);
};

namespace detail {

inline Message make_message(std::string id, std::string session = {}, std::string body = {})
{
    Message message;
    message.message_id = std::move(id);
    message.session_id = std::move(session);
    message.body = std::move(body);
    return message;
}

template <class Queue>
void send_one(Queue& queue, const Message& message)
{
    queue.send(std::span{&message, 1});
}

/// Sends one message for each id, in order, in one batch.
template <class Queue>
void send_all(Queue& queue, const std::vector<std::string>& ids, const std::string& session = {})
{
    std::vector<Message> messages;
    for (const std::string& id : ids) messages.push_back(make_message(id, session));
    queue.send(messages);
}

template <class Fixture>
std::vector<ReceivedMessage> receive(Fixture& fixture, std::size_t at_most = 100)
{
    return fixture.queue().receive(at_most, fixture.patience(), stop_token{});
}

template <class Fixture>
ReceivedMessage receive_one(Fixture& fixture)
{
    auto received = receive(fixture, 1);
    REQUIRE(received.size() == 1);
    return std::move(received.front());
}

template <class Messages>
std::vector<std::string> ids_of(const Messages& messages)
{
    std::vector<std::string> ids;
    for (const auto& message : messages) ids.push_back(message.message.message_id);
    return ids;
}

template <class Fixture>
void complete_all(Fixture& fixture, const std::vector<ReceivedMessage>& messages)
{
    std::vector<Settlement> settlements;
    for (const ReceivedMessage& message : messages) settlements.push_back({message, Complete{}});
    for (const SettlementResult result : fixture.queue().settle(settlements)) {
        REQUIRE(result == SettlementResult::settled);
    }
}

template <class Fixture>
void let_lock_run_out(Fixture& fixture)
{
    fixture.advance(fixture.options().lock_duration);
}

/// Checks that every way to settle, and renewing, fail: another receiver decides about the message now.
template <class Fixture>
void require_lock_lost(Fixture& fixture, const ReceivedMessage& message)
{
    auto& queue = fixture.queue();
    CHECK_THROWS_AS(queue.settle(message, Complete{}), MessageLockLost);
    CHECK_THROWS_AS(queue.settle(message, Abandon{}), MessageLockLost);
    CHECK_THROWS_AS(queue.settle(message, DeadLetter{"reason", "description"}), MessageLockLost);
    ReceivedMessage copy = message;
    CHECK_THROWS_AS(queue.renew_lock(copy), MessageLockLost);
    CHECK(copy.locked_until == message.locked_until);
}

/// A receive in another thread, which the destructor stops.
class WaitingReceiver {
public:
    template <class Queue>
    WaitingReceiver(Queue& queue, std::size_t at_most, Duration wait)
    {
        result_ = std::async(std::launch::async, [&queue, at_most, wait, stop = stop_.get_token()] {
            return queue.receive(at_most, wait, stop);
        });
    }
    WaitingReceiver(const WaitingReceiver&) = delete;
    WaitingReceiver& operator=(const WaitingReceiver&) = delete;
    ~WaitingReceiver() { stop_.request_stop(); }

    bool is_done_within(std::chrono::milliseconds duration) const
    {
        return result_.wait_for(duration) == std::future_status::ready;
    }
    void stop() { stop_.request_stop(); }

    std::vector<ReceivedMessage> result()
    {
        REQUIRE(is_done_within(std::chrono::seconds{20}));
        return result_.get();
    }

private:
    stop_source stop_;
    std::future<std::vector<ReceivedMessage>> result_;
};

} // namespace detail
} // namespace escqrs::inline v0::testing
