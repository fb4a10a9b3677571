// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/messaging/message_queue.hpp>

#include <proton/message.hpp>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

// Requests to an entity's `$management` node and what its answers say; no I/O.
// See https://learn.microsoft.com/azure/service-bus-messaging/service-bus-amqp-request-response
namespace service_bus {

/// @param lock_token  a UUID's text
proton::message renew_lock_request(const std::string& lock_token);
std::optional<escqrs::Timestamp> message_lock_end(const proton::message& answer);

proton::message renew_session_lock_request(const std::string& session_id);
std::optional<escqrs::Timestamp> session_lock_end(const proton::message& answer);

/// Looks at messages without locking them.
proton::message peek_request(std::uint64_t from_sequence_number, std::size_t at_most);
/// The encoded messages in an answer: the first `at_most`, for a broker may send more than it was asked for.
std::vector<std::vector<char>> peeked_messages(const proton::message& answer, std::size_t at_most);

/// A message to schedule, encoded with its time.
struct ScheduledMessage {
    std::string message_id;
    std::string session_id;    ///< empty: it has none
    std::string partition_key; ///< empty: it has none
    std::vector<char> bytes;
};
proton::message schedule_request(const std::vector<ScheduledMessage>& messages);
/// The numbers by which they can be cancelled, in the same order.
std::vector<std::uint64_t> scheduled_numbers(const proton::message& answer);
proton::message cancel_request(std::span<const std::uint64_t> sequence_numbers);

proton::message get_session_state_request(const std::string& session_id);
std::optional<std::string> session_state_in(const proton::message& answer);
/// @param state  nothing: the session is to have none any more
proton::message set_session_state_request(const std::string& session_id, const std::optional<std::string>& state);

/// Locks deferred messages.
/// @param session_id  empty: the queue has no sessions
proton::message receive_deferred_request(std::span<const std::uint64_t> sequence_numbers,
                                         const std::string& session_id);
/// The messages in an answer that were locked by it.
struct LockedMessage {
    std::string lock_token;
    std::vector<char> bytes;
};
std::vector<LockedMessage> locked_messages(const proton::message& answer);

/// Settles a message that came with an answer.
proton::message settle_request(const escqrs::ReceivedMessage& message, const escqrs::Disposition& disposition);

} // namespace service_bus
