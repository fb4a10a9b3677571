// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "amqp_connection.hpp"
#include "dead_letter_queue.hpp"
#include "management_client.hpp"
#include "message_receiver.hpp"
#include "message_sender.hpp"

#include <escqrs/messaging/message_queue.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

namespace service_bus {

/// What a process does with an entity; each needs its right: Send or Listen. Of a subscription, what is sent goes to
/// its topic.
enum class QueueUse : std::uint8_t {
    send,    ///< to a queue, and look at its dead letters
    receive, ///< from a queue or a subscription
    /// For a queue, or a subscription whose dead letters are shown and resubmitted.
    both,
    publish, ///< send to a topic
};

struct QueueSettings {
    AmqpConnectionOptions connection; ///< its audiences follow from the queue
    SenderOptions sender;
    ReceiverOptions receiver;
    QueueUse use = QueueUse::both;
    /// Session of messages that have none: a queue that requires sessions does not take them otherwise.
    std::string default_session = "-";
};

/// How the way to the queue is.
struct QueueHealth {
    bool connected = false;
    bool authorised = false;
    bool attached = false;
    /// The receiver is not attached because the broker has no session for it, or has not said so yet; all else is well.
    /// An attach that the broker never answers counts as such until it is given up, after the operation time-out.
    bool waits_for_session = false;
    /// The last error; it stays when all is well again.
    std::string last_error;
    std::uint64_t connections = 0;

    /// What is wrong now, for people; nothing if messages can go.
    std::optional<std::string> problem() const;
};

/// An entity over a connection that it shares with others.
struct EntityUse {
    /// Queue, topic, or `topic/Subscriptions/name`.
    std::string entity;
    QueueUse use = QueueUse::both;
};

/// A connection for several entities, each used by its own `MessageQueue`. Its tokens are put for all of them before
/// any is used, so one that is missing at the broker may keep the others from being used.
/// @param options  their audiences follow from the entities
std::shared_ptr<AmqpConnection> connect(AmqpConnectionOptions options, const std::vector<EntityUse>& entities);

/// A queue on Azure Service Bus, or on another AMQP 1.0 broker: sender, receiver and dead letters over one connection.
/// A topic to publish to, or a subscription to receive from, is used in the same way.
/// @par Thread safety  any thread
class MessageQueue {
public:
    /// Returns at once; the connection is made, and made again, in the background.
    explicit MessageQueue(QueueSettings settings);

    /// Uses one of the entities that the connection was made for.
    /// @param settings  of its connection and use nothing is used
    /// @throws escqrs::TransportError if the connection was not made for it
    MessageQueue(std::shared_ptr<AmqpConnection> connection, const EntityUse& entity, QueueSettings settings = {});

    void send(std::span<const escqrs::Message> messages) { sender().send(messages); }
    /// With what Service Bus has beyond `escqrs::Message`.
    void send_detailed(std::span<const Message> messages) { sender().send_detailed(messages); }

    std::vector<escqrs::ReceivedMessage> receive(std::size_t at_most, escqrs::Duration wait, std::stop_token stop)
    {
        return receiver().receive(at_most, wait, std::move(stop));
    }
    /// With what Service Bus has beyond `escqrs::ReceivedMessage`.
    std::vector<ReceivedMessage> receive_detailed(std::size_t at_most, escqrs::Duration wait, std::stop_token stop)
    {
        return receiver().receive_detailed(at_most, wait, std::move(stop));
    }
    void settle(const escqrs::ReceivedMessage& message, const escqrs::Disposition& disposition)
    {
        receiver().settle(message, disposition);
    }
    std::vector<escqrs::SettlementResult> settle(std::span<const escqrs::Settlement> settlements)
    {
        return receiver().settle(settlements);
    }
    void renew_lock(escqrs::ReceivedMessage& message) { receiver().renew_lock(message); }

    // What a Service Bus queue can do beyond `escqrs::MessageReceiver`.
    void release(std::span<const escqrs::ReceivedMessage> messages) { receiver().release(messages); }
    void defer(const escqrs::ReceivedMessage& message) { receiver().defer(message); }
    ManagementClient& management() noexcept { return *management_; }

    std::vector<escqrs::DeadLetteredMessage> dead_letters(std::uint64_t after, std::size_t at_most)
    {
        return dead_letter_queue().dead_letters(after, at_most);
    }
    bool resubmit(const std::string& message_id) { return dead_letter_queue().resubmit(message_id); }

    QueueHealth health() const;

    /// Where its tokens come from; empty: from the broker's key.
    const TokenSource& tokens() const noexcept { return connection_->options().tokens; }

private:
    MessageSender& sender();
    MessageReceiver& receiver();
    DeadLetterQueue& dead_letter_queue();

    std::shared_ptr<AmqpConnection> connection_;
    std::optional<MessageSender> sender_;
    std::optional<MessageReceiver> receiver_;
    std::optional<DeadLetterQueue> dead_letters_;
    std::optional<ManagementClient> management_;
};

static_assert(escqrs::MessageSender<MessageQueue>);
static_assert(escqrs::MessageReceiver<MessageQueue>);
static_assert(escqrs::DeadLetterQueue<MessageQueue>);
static_assert(escqrs::ReleasingReceiver<MessageQueue>); // or every stop would count as a delivery

} // namespace service_bus
