// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "dead_letter_queue.hpp"

#include "management.hpp"
#include "message_codec.hpp"
#include "resubmission.hpp"

#include <escqrs/core/error.hpp>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <utility>

namespace service_bus {
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

std::string wire_id_prefix(const std::string& entity)
{
    const auto subscription = subscription_in(entity);
    return "resubmitted-" + (subscription ? subscription->name + "-" : std::string{});
}

escqrs::DeadLetteredMessage to_dead_letter(DecodedMessage decoded)
{
    escqrs::DeadLetteredMessage dead;
    dead.sequence_number = decoded.received.sequence_number;
    dead.delivery_count = decoded.received.delivery_count - 1; // no receiver holds it
    dead.enqueued_at = decoded.received.enqueued_at;
    dead.dead_lettered_at = decoded.dead_lettered_at.value_or(decoded.received.enqueued_at);
    dead.reason = std::move(decoded.dead_letter_reason);
    dead.description = std::move(decoded.dead_letter_description);
    dead.message = std::move(decoded.received.message);
    return dead;
}

} // namespace

DeadLetterQueue::DeadLetterQueue(AmqpConnection& connection, const std::string& entity, MessageSender& sender,
                                 const std::string& default_session, std::size_t most_in_front)
    : connection_{&connection}, address_{entity + "/$deadletterqueue"}, default_session_{default_session},
      most_in_front_{most_in_front}, wire_id_prefix_{wire_id_prefix(entity)}, sender_{&sender},
      management_{connection, address_ + "/$management"},
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
    while (found.size() < at_most) {
        const std::uint64_t last = found.empty() ? after : found.back().sequence_number;
        const auto page = peek(last, at_most - found.size());
        if (page.empty()) break;
        for (const auto& bytes : page) found.push_back(to_dead_letter(decode_dead_letter(bytes, default_session_)));
        if (found.back().sequence_number <= last) break; // it has no number to continue from
    }
    return found;
}

std::vector<std::vector<char>> DeadLetterQueue::peek(std::uint64_t after, std::size_t at_most)
{
    if (connection_->options().broker.dialect == Dialect::amqp10)
        throw escqrs::TransportError{"plain AMQP 1.0 has no way to look at dead letters; ask the broker for them"};
    return peeked_messages(ask(*connection_, management_, peek_request(after + 1, at_most)), at_most);
}

bool DeadLetterQueue::resubmit(const std::string& message_id)
{
    const auto found = find(message_id);
    if (!found) return false;
    std::vector<escqrs::ReceivedMessage> others; // in front of it; kept until it is found
    const auto is_it = [&](const auto& message) { return message.sequence_number == found->sequence_number; };
    for (bool is_done = false; !is_done;) {
        auto batch = receiver_.receive(std::min(page_size, most_in_front_ + 1 - others.size()), receive_wait, {});
        const auto at = std::ranges::find_if(batch, is_it);
        is_done = at != batch.end();
        try {
            if (batch.empty()) throw escqrs::TransportError{"another receiver holds dead letter '" + message_id + "'"};
            if (is_done) give_back(*at, found->bytes);
            else if (others.size() + batch.size() > most_in_front_)
                throw escqrs::MessageRefused{
                    message_id, "dead letter '" + message_id + "' cannot be resubmitted: more than " +
                                    std::to_string(most_in_front_) + " are in front of it, which must go first"};
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

std::optional<DeadLetterQueue::Found> DeadLetterQueue::find(const std::string& message_id)
{
    for (std::uint64_t last = 0;;) {
        const std::uint64_t after = last;
        for (auto& bytes : peek(after, page_size)) {
            const DecodedMessage dead = decode_dead_letter(bytes, default_session_);
            last = dead.received.sequence_number;
            if (dead.received.message.message_id != message_id) continue;
            if (!dead.is_whole)
                throw escqrs::MessageRefused{message_id, "dead letter '" + message_id +
                                                             "' cannot be given back: " + dead.dead_letter_description};
            return Found{last, std::move(bytes)};
        }
        if (last <= after) return std::nullopt;
    }
}

void DeadLetterQueue::give_back(const escqrs::ReceivedMessage& dead, const std::vector<char>& bytes)
{
    const std::string wire_message_id = wire_id_prefix_ + std::to_string(dead.sequence_number);
    sender_->send_encoded(dead.message, encode_resubmission(bytes, wire_message_id));
    receiver_.settle(dead, escqrs::Complete{});
}

} // namespace service_bus
