// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "message_queue.hpp"

#include <escqrs/core/error.hpp>

#include <algorithm>
#include <utility>

namespace service_bus {
namespace {

bool sends(QueueUse use) noexcept { return use != QueueUse::receive; }
bool receives(QueueUse use) noexcept { return use == QueueUse::receive || use == QueueUse::both; }
bool has_dead_letters(QueueUse use) noexcept { return use == QueueUse::send || use == QueueUse::both; }

/// Where messages are sent to: nothing can be sent to a subscription, but to its topic.
std::string target_of(const std::string& entity)
{
    const auto subscription = subscription_in(entity);
    return subscription ? subscription->topic : entity;
}

/// Each node that links are attached to, as Microsoft's own clients do it.
std::vector<std::string> audiences_of(const EntityUse& used)
{
    std::vector<std::string> audiences{used.entity, used.entity + "/$management"};
    if (const std::string target = target_of(used.entity); sends(used.use) && target != used.entity)
        audiences.push_back(target);
    if (has_dead_letters(used.use)) {
        audiences.push_back(used.entity + "/$deadletterqueue");
        audiences.push_back(used.entity + "/$deadletterqueue/$management");
    }
    return audiences;
}

EntityUse only_entity(const QueueSettings& settings)
{
    if (settings.connection.broker.entity.empty())
        throw escqrs::TransportError{"the connection string names no queue (EntityPath)"};
    return {settings.connection.broker.entity, settings.use};
}

} // namespace

std::optional<std::string> QueueHealth::problem() const
{
    const char* const step = !connected                        ? "not connected"
                             : !authorised                     ? "not authorised"
                             : !attached && !waits_for_session ? "not attached"
                                                               : nullptr;
    if (step == nullptr) return std::nullopt;
    return last_error.empty() ? std::string{step} : std::string{step} + ": " + last_error;
}

std::shared_ptr<AmqpConnection> connect(AmqpConnectionOptions options, const std::vector<EntityUse>& entities)
{
    options.audiences.clear();
    for (const EntityUse& entity : entities) {
        for (auto& audience : audiences_of(entity)) {
            if (std::ranges::find(options.audiences, audience) == options.audiences.end())
                options.audiences.push_back(std::move(audience));
        }
    }
    return std::make_shared<AmqpConnection>(std::move(options));
}

MessageQueue::MessageQueue(QueueSettings settings)
    : MessageQueue{connect(settings.connection, {only_entity(settings)}), only_entity(settings), std::move(settings)}
{
}

MessageQueue::MessageQueue(std::shared_ptr<AmqpConnection> connection, const EntityUse& entity, QueueSettings settings)
    : connection_{std::move(connection)}
{
    const std::vector<std::string>& audiences = connection_->options().audiences;
    for (const std::string& audience : audiences_of(entity)) {
        if (std::ranges::find(audiences, audience) == audiences.end())
            throw escqrs::TransportError{"the connection was not made for this use of '" + entity.entity + "'"};
    }
    const bool is_service_bus = connection_->options().broker.dialect == Dialect::service_bus;
    const bool has_sessions = is_service_bus && settings.receiver.sessions;
    settings.sender.default_session = settings.receiver.default_session = has_sessions ? settings.default_session : "";
    if (sends(entity.use)) sender_.emplace(*connection_, target_of(entity.entity), settings.sender);
    if (receives(entity.use)) receiver_.emplace(*connection_, entity.entity, settings.receiver);
    management_.emplace(*connection_, entity.entity, settings.receiver.default_session);
    if (has_dead_letters(entity.use))
        dead_letters_.emplace(*connection_, entity.entity, *sender_, settings.sender.default_session);
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

DeadLetterQueue& MessageQueue::dead_letter_queue()
{
    if (!dead_letters_) throw escqrs::TransportError{"this process does not look at the queue's dead letters"};
    return *dead_letters_;
}

QueueHealth MessageQueue::health() const
{
    const ConnectionHealth connection = connection_->health();
    const bool sends = connection.connected && (!sender_ || sender_->is_attached());
    const LinkState receives = receiver_ ? receiver_->link_state() : LinkState::working;
    return {.connected = connection.connected,
            .authorised = connection.authorised,
            .attached = sends && receives == LinkState::working,
            .waits_for_session = sends && receives == LinkState::waiting,
            .last_error = connection.last_error,
            .connections = connection.connections};
}

} // namespace service_bus
