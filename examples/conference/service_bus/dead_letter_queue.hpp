// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "amqp_connection.hpp"
#include "message_codec.hpp"
#include "message_receiver.hpp"
#include "message_sender.hpp"
#include "request_link.hpp"

#include <escqrs/messaging/message_queue.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace service_bus {

/// The dead letters of a queue, to look at and to give back: `escqrs::DeadLetterQueue`.
///
/// A message that is given back goes out under a new id that follows from its sequence number, since the queue would drop it
/// as a duplicate otherwise; receivers see it under its own. If we die between sending and removing it, doing it again
/// sends a duplicate, which is dropped.
/// @par Thread safety  any thread
class DeadLetterQueue final : ConnectionUser {
public:
    /// @param connection, sender  must outlive this
    /// @param sender  to the queue, or to the subscription's topic
    /// @param entity  the queue or subscription, not its dead-letter queue
    /// @param most_in_front  of a message that `resubmit` gives back
    DeadLetterQueue(AmqpConnection& connection, const std::string& entity, MessageSender& sender,
                    const std::string& default_session, std::size_t most_in_front = 1000);
    ~DeadLetterQueue() override;

    /// @throws escqrs::TransportError if the broker does not answer, or speaks plain AMQP 1.0, which has no word for it
    std::vector<escqrs::DeadLetteredMessage> dead_letters(std::uint64_t after, std::size_t at_most);

    /// Sends the message as it was: with the types of its properties, time to live, reply-to and partition key. Takes time in
    /// proportion to the dead letters in front of it, of which there may be `most_in_front`. A subscription's dead letter goes to the
    /// topic, as Azure's own tools send it: every subscription that has a rule for it gets it once more, under its own id. If no
    /// rule of any matches it any more, the topic drops it without an error, and the message is lost.
    /// @throws escqrs::TransportError  as above, or if another receiver holds the message
    /// @throws escqrs::MessageRefused  if it cannot be resubmitted: it could not be decoded, so that a part of it would be
    ///         lost, the queue does not take it, or too many are in front of it
    bool resubmit(const std::string& message_id);

private:
    void on_ready() override {}
    void on_lost(const Condition&) override { management_.connection_lost(); }
    void on_tick(escqrs::SteadyTime now) override { management_.tick(now); }

    struct Found {
        std::uint64_t sequence_number;
        std::vector<char> bytes;
    };

    /// A page of those behind `after`, encoded.
    std::vector<std::vector<char>> peek(std::uint64_t after, std::size_t at_most);
    std::optional<Found> find(const std::string& message_id);
    void give_back(const escqrs::ReceivedMessage& dead, const std::vector<char>& bytes);

    AmqpConnection* connection_;
    std::string address_;
    std::string default_session_;
    std::size_t most_in_front_;
    std::string wire_id_prefix_; ///< of what is sent: the subscriptions of a topic count their messages each for itself
    MessageSender* sender_;
    RequestLink management_;
    MessageReceiver receiver_;
};

} // namespace service_bus
