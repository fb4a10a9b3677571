// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "amqp_connection.hpp"
#include "message.hpp"
#include "request_link.hpp"

#include <escqrs/messaging/message_queue.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace service_bus {

/// Messages that are looked at, scheduled or deferred, and the state that is kept with a session: what an entity's
/// `$management` node is asked for.
/// @par Thread safety  any thread
class ManagementClient final : ConnectionUser {
public:
    /// @param connection  must outlive the client
    ManagementClient(AmqpConnection& connection, const std::string& entity, std::string default_session);
    ~ManagementClient() override;

    /// Looks at messages in the order of their sequence numbers, and locks none; also at scheduled and deferred ones.
    /// @param after  begin after this sequence number; 0: with the first
    /// @return fewer than `at_most` only if there are no more
    /// @throws escqrs::TransportError if the broker does not answer, or a message cannot be decoded
    std::vector<PeekedMessage> peek(std::uint64_t after, std::size_t at_most);

    /// Stores messages that are handed out at their `scheduled_enqueue_time`, which each must have.
    /// @return the number of each, by which it can be cancelled; 0 for one that was a duplicate
    /// @throws escqrs::MessageRefused  if a message could not be sent either, or names no time; none is stored then
    /// @throws escqrs::TransportError  if the broker does not answer, which leaves open whether they are stored; at
    ///         once for a subscription: its topic stores the messages, so schedule and cancel with a `MessageQueue` of
    ///         the topic
    std::vector<std::uint64_t> schedule(std::span<const Message> messages);

    /// Cancels scheduled messages, before their time.
    /// @throws escqrs::TransportError if one of them is not there any more, the broker does not answer, or this is a
    ///         subscription
    void cancel_scheduled(std::span<const std::uint64_t> sequence_numbers);

    /// Locks messages that were deferred; a queue hands them out in no other way. Their locks are not renewed by
    /// itself.
    /// @param session_id  theirs, held by a receive of this connection; empty: the queue has no sessions
    /// @throws escqrs::TransportError if one of them is not there; then none is locked
    std::vector<ReceivedMessage> receive_deferred(std::span<const std::uint64_t> sequence_numbers,
                                                  const std::string& session_id = {});

    /// Settles what `receive_deferred` has given.
    /// @throws escqrs::MessageLockLost, escqrs::TransportError
    void settle_deferred(const escqrs::ReceivedMessage& message, const escqrs::Disposition& disposition);

    /// What was last set for a session; nothing if nothing was.
    /// @param session_id  held by a receive of this connection
    /// @throws escqrs::TransportError if it is not held, or the broker does not answer
    std::optional<std::string> session_state(const std::string& session_id);

    /// @param state  nothing: the session is to have none any more
    void set_session_state(const std::string& session_id, const std::optional<std::string>& state);

private:
    void on_ready() override {}
    void on_lost(const Condition&) override { management_.connection_lost(); }
    void on_tick(escqrs::SteadyTime now) override { management_.tick(now); }

    void require_service_bus() const;
    void require_schedule() const;

    AmqpConnection* connection_;
    bool is_subscription_;
    std::string default_session_;
    RequestLink management_;
};

} // namespace service_bus
