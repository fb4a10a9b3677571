// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "management_client.hpp"

#include "management.hpp"
#include "message_codec.hpp"

#include <escqrs/core/error.hpp>
#include <escqrs/messaging/message_queue_rules.hpp>

#include <utility>

namespace service_bus {

ManagementClient::ManagementClient(AmqpConnection& connection, const std::string& entity, std::string default_session)
    : connection_{&connection}, is_subscription_{subscription_in(entity).has_value()},
      default_session_{std::move(default_session)}, management_{connection, entity + "/$management"}
{
    connection_->post([this] { connection_->add(*this); });
}

ManagementClient::~ManagementClient()
{
    connection_->call([this] {
        connection_->remove(*this);
        management_.close();
    });
}

std::vector<PeekedMessage> ManagementClient::peek(std::uint64_t after, std::size_t at_most)
{
    require_service_bus();
    std::vector<PeekedMessage> peeked;
    while (peeked.size() < at_most) {
        const std::uint64_t last = peeked.empty() ? after : peeked.back().sequence_number;
        const std::size_t wanted = at_most - peeked.size();
        const auto page = peeked_messages(ask(*connection_, management_, peek_request(last + 1, wanted)), wanted);
        if (page.empty()) break;
        for (const auto& bytes : page) {
            DecodedMessage decoded = decode_message(bytes, default_session_);
            const escqrs::ReceivedMessage& received = decoded.received;
            PeekedMessage found{{}, received.sequence_number, received.delivery_count - 1, received.enqueued_at};
            found.message = to_message(std::move(decoded.received));
            peeked.push_back(std::move(found));
        }
        if (peeked.back().sequence_number <= last) break; // it has no number to continue from
    }
    return peeked;
}

std::vector<std::uint64_t> ManagementClient::schedule(std::span<const Message> messages)
{
    require_schedule();
    std::vector<ScheduledMessage> scheduled;
    for (const Message& message : messages) {
        check_message(message);
        if (!message.scheduled_enqueue_time)
            throw escqrs::MessageRefused{message.message_id, "message '" + message.message_id +
                                                                 "' refused: it has no time to be scheduled for"};
        scheduled.push_back(
            {message.message_id, message.session_id.empty() ? default_session_ : message.session_id,
             message.partition_key,
             encode_message(message, message, message.message_id, default_session_, Dialect::service_bus)});
    }
    if (scheduled.empty()) return {};
    return scheduled_numbers(ask(*connection_, management_, schedule_request(scheduled)));
}

void ManagementClient::cancel_scheduled(std::span<const std::uint64_t> sequence_numbers)
{
    require_schedule();
    if (!sequence_numbers.empty()) (void)ask(*connection_, management_, cancel_request(sequence_numbers));
}

std::vector<ReceivedMessage> ManagementClient::receive_deferred(std::span<const std::uint64_t> sequence_numbers,
                                                                const std::string& session_id)
{
    require_service_bus();
    if (sequence_numbers.empty()) return {};
    const auto answer = ask(*connection_, management_, receive_deferred_request(sequence_numbers, session_id));
    std::vector<ReceivedMessage> received;
    for (auto& [lock_token, bytes] : locked_messages(answer)) {
        auto message = decode_message(bytes, default_session_).received;
        message.lock_token = std::move(lock_token);
        received.push_back(std::move(message));
    }
    return received;
}

void ManagementClient::settle_deferred(const escqrs::ReceivedMessage& message, const escqrs::Disposition& disposition)
{
    require_service_bus();
    const Reply reply = try_to_ask(*connection_, management_, settle_request(message, disposition));
    if (reply.is_success()) return;
    constexpr int gone = 410; // as HTTP has it
    if (reply.status == gone) escqrs::message_queue_rules::throw_lock_lost(message);
    throw escqrs::TransportError{"settling message '" + message.message.message_id + "': " + to_text(reply.condition)};
}

std::optional<std::string> ManagementClient::session_state(const std::string& session_id)
{
    require_service_bus();
    return session_state_in(ask(*connection_, management_, get_session_state_request(session_id)));
}

void ManagementClient::set_session_state(const std::string& session_id, const std::optional<std::string>& state)
{
    require_service_bus();
    (void)ask(*connection_, management_, set_session_state_request(session_id, state));
}

void ManagementClient::require_service_bus() const
{
    if (connection_->options().broker.dialect == Dialect::amqp10)
        throw escqrs::TransportError{
            "plain AMQP 1.0 has no deferred messages, no session state, no peeking and no cancelling"};
}

void ManagementClient::require_schedule() const
{
    require_service_bus();
    if (is_subscription_)
        throw escqrs::TransportError{"a subscription neither schedules nor cancels messages: expected a topic or a "
                                     "queue; use one for its topic"};
}

} // namespace service_bus
