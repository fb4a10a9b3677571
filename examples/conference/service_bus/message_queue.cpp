// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "message_queue.hpp"

#include <escqrs/error.hpp>

#include <utility>

namespace service_bus {
namespace {

AmqpConnectionOptions with_audiences(AmqpConnectionOptions options, QueueUse use)
{
    if (options.broker.entity.empty())
        throw escqrs::TransportError{"the connection string names no queue (EntityPath)"};
    // Each node that links are attached to, as Microsoft's own clients do it.
    const std::string& entity = options.broker.entity;
    options.audiences = {entity};
    if (use != QueueUse::send) options.audiences.push_back(entity + "/$management");
    if (use != QueueUse::receive) {
        options.audiences.push_back(entity + "/$deadletterqueue");
        options.audiences.push_back(entity + "/$deadletterqueue/$management");
    }
    return options;
}

} // namespace

std::optional<std::string> QueueHealth::problem() const
{
    const char* const step = !connected    ? "not connected"
                             : !authorised ? "not authorised"
                             : !attached   ? "not attached"
                                           : nullptr;
    if (step == nullptr) return std::nullopt;
    return last_error.empty() ? std::string{step} : std::string{step} + ": " + last_error;
}

MessageQueue::MessageQueue(QueueSettings settings)
    : connection_{with_audiences(std::move(settings.connection), settings.use)}
{
    const Broker& broker = connection_.options().broker;
    const bool has_sessions = broker.dialect == Dialect::service_bus && settings.receiver.sessions;
    settings.sender.default_session = settings.receiver.default_session = has_sessions ? settings.default_session : "";
    if (settings.use != QueueUse::receive) sender_.emplace(connection_, broker.entity, settings.sender);
    if (settings.use != QueueUse::send) receiver_.emplace(connection_, broker.entity, settings.receiver);
    if (receiver_) management_.emplace(connection_, broker.entity, settings.receiver.default_session);
    if (sender_) dead_letters_.emplace(connection_, broker.entity, *sender_, settings.sender.default_session);
}

MessageSender& MessageQueue::sender()
{
    if (!sender_) throw escqrs::TransportError{"this process does not send to the queue"};
    return *sender_;
}

MessageReceiver& MessageQueue::receiver()
{
    if (!receiver_) throw escqrs::TransportError{"this process does not receive from the queue"};
    return *receiver_;
}

ManagementClient& MessageQueue::management()
{
    if (!management_) throw escqrs::TransportError{"this process does not receive from the queue"};
    return *management_;
}

DeadLetterQueue& MessageQueue::dead_letter_queue()
{
    if (!dead_letters_) throw escqrs::TransportError{"this process does not look at the queue's dead letters"};
    return *dead_letters_;
}

QueueHealth MessageQueue::health() const
{
    const ConnectionHealth connection = connection_.health();
    const bool attached = (!sender_ || sender_->is_attached()) && (!receiver_ || receiver_->is_attached());
    return {connection.connected, connection.authorised, connection.connected && attached, connection.last_error,
            connection.connections};
}

} // namespace service_bus
