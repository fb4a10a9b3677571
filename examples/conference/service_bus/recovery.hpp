// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/backoff.hpp>
#include <escqrs/core/timestamp.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace service_bus {

/// Why a peer has refused or ended something, in AMQP's words.
struct Condition {
    std::string name; ///< such as `amqp:link:detach-forced`; empty: none was told
    std::string description;

    friend bool operator==(const Condition&, const Condition&) = default;
};

/// A condition in words, and in one line.
std::string to_text(const Condition& condition);

/// Whether the lock on a message or session is gone.
bool is_lock_lost(const Condition& condition) noexcept;

/// Who tells a condition: the broker, or our own end, which saw the connection break.
enum class ConditionSource : std::uint8_t { broker, transport };

/// What helps.
enum class Recovery : std::uint8_t {
    retry_on_link,            ///< the same again, on the same link
    reattach_link,            ///< a new link on the same connection
    reconnect,                ///< a new connection
    put_token_and_retry_once, ///< the token may have been overtaken by a new key; if not, it will not get better
    fail,                     ///< nothing: a person must change something
};

/// The conditions of AMQP 1.0 and Service Bus and what Microsoft's own clients do about them (`retryableErrors` of the
/// JavaScript client's core-amqp 4.4, `exceptions.py` of the Python client 7.8; where they differ, the more careful).
/// Unknown ones get a new link: they may pass.
Recovery recovery_for(std::string_view condition, ConditionSource source) noexcept;

/// Whether a broker that rejects a message with this condition means that message, and so would reject it again, while
/// others may go: not the queue, which may be full, closed or forbidden.
bool concerns_the_message(std::string_view condition) noexcept;

/// How long to wait at least before that.
escqrs::Duration least_delay_for(std::string_view condition) noexcept;

/// The pauses between attempts that fail: each up to a fifth longer or shorter.
escqrs::Backoff reconnect_backoff(escqrs::Duration first, escqrs::Duration longest, escqrs::Jitter jitter);

} // namespace service_bus
