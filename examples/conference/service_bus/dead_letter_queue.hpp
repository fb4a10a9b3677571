// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "amqp_connection.hpp"
#include "message_codec.hpp"
#include "message_receiver.hpp"
#include "message_sender.hpp"
#include "request_link.hpp"

#include <escqrs/messaging.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace conference::service_bus {

/// What a queue has put aside, to look at and to give back: `escqrs::DeadLetterQueue`.
///
/// A message that is given back goes out under a new id that follows from its sequence number, since the queue would drop it
/// as a duplicate otherwise; receivers see it under its own. If we die between sending and removing it, doing it again
/// sends a duplicate, which is dropped.
/// @par Thread safety  any thread
class DeadLetterQueue final : ConnectionUser {
public:
    /// @param connection, sender  must outlive this
    /// @param entity  the queue, not its dead-letter queue
    DeadLetterQueue(AmqpConnection& connection, const std::string& entity, MessageSender& sender,
                    const std::string& default_session);
    ~DeadLetterQueue() override;

    /// @throws escqrs::TransportError if the broker does not answer, or speaks plain AMQP 1.0, which has no word for it
    std::vector<escqrs::DeadLetteredMessage> dead_letters(std::uint64_t after, std::size_t at_most);

    /// Takes time in proportion to the dead letters in front of the message.
    /// @throws escqrs::TransportError  as above, or if somebody else holds the message, or it could not be decoded: giving
    ///         it back would lose what could not
    bool resubmit(const std::string& message_id);

private:
    void on_ready() override {}
    void on_lost(const Condition&) override {}
    void on_tick(escqrs::SteadyTime now) override { management_.tick(now); }

    std::vector<DecodedMessage> peek(std::uint64_t after, std::size_t at_most);
    std::optional<std::uint64_t> find(const std::string& message_id);
    void give_back(const escqrs::ReceivedMessage& dead);

    AmqpConnection* connection_;
    std::string address_;
    std::string default_session_;
    MessageSender* sender_;
    RequestLink management_;
    MessageReceiver receiver_;
};

} // namespace conference::service_bus
