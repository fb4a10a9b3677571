// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "connection_string.hpp"

#include <escqrs/core/timestamp.hpp>

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>

namespace service_bus {

struct ReceiverOptions {
    /// The queue requires sessions; false: it has none (always so with plain AMQP 1.0).
    bool sessions = true;
    /// Receives from this session only, and keeps it from one `receive` to the next; nothing: from the sessions that
    /// are free.
    std::optional<std::string> session_id{};
    std::size_t max_sessions = 32; ///< that one `receive` may hold at once
    /// Messages that are locked for us before a call asks for them; they come quicker, and wait under lock. Not with
    /// sessions.
    std::size_t prefetch = 0;
    std::string default_session; ///< that stands for messages without one
    /// A shorter wait is lengthened to this: before the broker has answered, it is unknown whether there is a message.
    escqrs::Duration least_wait = std::chrono::milliseconds{200};
    /// Once there is a message: for further ones, and further sessions. The call ends when none has come for so long.
    escqrs::Duration linger = std::chrono::milliseconds{5};
    /// How long from receipt on the receiver renews locks by itself; 0: not at all, for callers that renew, such as an
    /// `escqrs::MessageProcessor`.
    escqrs::Duration max_lock_renewal = std::chrono::minutes{5};
    std::size_t max_message_size = 256 * 1024; ///< that abandoning with properties may not exceed
    /// Hands out what cannot be decoded without what cannot be, instead of dead-lettering it: for a dead-letter queue.
    bool hands_out_undecodable = false;
};

/// @throws escqrs::TransportError if a session is named that no message can have, or where there are no sessions
void check_options(const ReceiverOptions& options, const std::string& address, Dialect dialect);

} // namespace service_bus
