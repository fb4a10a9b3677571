// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "dead_letter_queue.hpp"

#include "management.hpp"
#include "message_codec.hpp"

#include <escqrs/error.hpp>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <utility>

namespace conference::service_bus {
namespace {

constexpr std::size_t page_size = 100;
constexpr std::chrono::seconds receive_wait{2};

ReceiverOptions receiver_options(const std::string& default_session)
{
    ReceiverOptions options;
    options.sessions = false; // a dead-letter queue has none, whatever its queue has
    options.default_session = default_session;
    options.hands_out_undecodable = true; // or it would be in the way of the others
    return options;
}

escqrs::DeadLetteredMessage to_dead_letter(DecodedMessage decoded)
{
    escqrs::DeadLetteredMessage dead;
    dead.sequence_number = decoded.received.sequence_number;
    dead.delivery_count = decoded.received.delivery_count - 1; // nobody is holding it
    dead.enqueued_at = decoded.received.enqueued_at;
    dead.dead_lettered_at = decoded.dead_lettered_at.value_or(decoded.received.enqueued_at);
    dead.reason = std::move(decoded.dead_letter_reason);
    dead.description = std::move(decoded.dead_letter_description);
    dead.message = std::move(decoded.received.message);
    return dead;
}

} // namespace

DeadLetterQueue::DeadLetterQueue(AmqpConnection& connection, const std::string& entity, MessageSender& sender,
                                 const std::string& default_session)
    : connection_{&connection}, address_{entity + "/$deadletterqueue"}, default_session_{default_session},
      sender_{&sender}, management_{connection, address_ + "/$management"},
      receiver_{connection, address_, receiver_options(default_session)}
{
    connection_->post([this] { connection_->add(*this); });
}

DeadLetterQueue::~DeadLetterQueue()
{
    connection_->call([this] {
        connection_->remove(*this);
        management_.close();
    });
}

std::vector<escqrs::DeadLetteredMessage> DeadLetterQueue::dead_letters(std::uint64_t after, std::size_t at_most)
{
    std::vector<escqrs::DeadLetteredMessage> found;
    for (auto& decoded : peek(after, at_most)) found.push_back(to_dead_letter(std::move(decoded)));
    return found;
}

std::vector<DecodedMessage> DeadLetterQueue::peek(std::uint64_t after, std::size_t at_most)
{
    if (connection_->options().broker.dialect == Dialect::amqp10)
        throw escqrs::TransportError{"plain AMQP 1.0 has no way to look at dead letters; ask the broker for them"};
    std::vector<DecodedMessage> found;
    while (found.size() < at_most) {
        const std::uint64_t from = found.empty() ? after + 1 : found.back().received.sequence_number + 1;
        const auto answer = ask(*connection_, management_, peek_request(from, at_most - found.size()));
        const auto page = peeked_messages(answer);
        if (page.empty()) break;
        for (const auto& bytes : page) found.push_back(decode_dead_letter(bytes, default_session_));
        if (found.back().received.sequence_number < from) break; // it tells no number to go on from
    }
    return found;
}

bool DeadLetterQueue::resubmit(const std::string& message_id)
{
    const auto sequence_number = find(message_id);
    if (!sequence_number) return false;
    std::vector<escqrs::ReceivedMessage> others; // in front of it; kept until it is found
    const auto is_it = [&](const auto& message) { return message.sequence_number == *sequence_number; };
    for (bool is_found = false; !is_found;) {
        auto batch = receiver_.receive(page_size, receive_wait, {});
        if (batch.empty()) {
            receiver_.release(others);
            throw escqrs::TransportError{"dead letter '" + message_id + "' is being looked at by somebody else"};
        }
        const auto at = std::ranges::find_if(batch, is_it);
        is_found = at != batch.end();
        try {
            if (is_found) give_back(*at);
        } catch (...) {
            receiver_.release(others);
            receiver_.release(batch);
            throw;
        }
        std::ranges::move(batch, std::back_inserter(others));
    }
    receiver_.release(others); // what is settled is left out
    return true;
}

std::optional<std::uint64_t> DeadLetterQueue::find(const std::string& message_id)
{
    std::uint64_t after = 0;
    for (;;) {
        const auto page = peek(after, page_size);
        if (page.empty()) return std::nullopt;
        const auto at = std::ranges::find_if(
            page, [&](const auto& dead) { return dead.received.message.message_id == message_id; });
        if (at != page.end() && !at->is_whole)
            throw escqrs::TransportError{"dead letter '" + message_id +
                                         "' cannot be given back: " + at->dead_letter_description};
        if (at != page.end()) return at->received.sequence_number;
        after = page.back().received.sequence_number;
    }
}

void DeadLetterQueue::give_back(const escqrs::ReceivedMessage& dead)
{
    escqrs::Message message = dead.message;
    message.scheduled_enqueue_time.reset();
    sender_->send_as(message, "resubmitted-" + std::to_string(dead.sequence_number));
    receiver_.settle(dead, escqrs::Complete{});
}

} // namespace conference::service_bus
