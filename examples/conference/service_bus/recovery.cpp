// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "recovery.hpp"

#include "shown_text.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

namespace service_bus {
namespace {

using enum Recovery;

constexpr std::array<std::pair<std::string_view, Recovery>, 38> recoveries{{
    {"com.microsoft:server-busy", retry_on_link},
    {"com.microsoft:timeout", retry_on_link},
    {"com.microsoft:operation-cancelled", retry_on_link},
    {"amqp:internal-error", retry_on_link},
    {"amqp:link:detach-forced", reattach_link},
    {"amqp:link:transfer-limit-exceeded", reattach_link},
    {"com.microsoft:container-close", reattach_link},
    {"com.microsoft:session-cannot-be-locked", reattach_link}, // another session may be had
    {"amqp:connection:forced", reconnect},
    {"amqp:unauthorized-access", put_token_and_retry_once},
    {"com.microsoft:auth-failed", put_token_and_retry_once},
    {"amqp:not-found", fail},
    {"amqp:not-allowed", fail},
    {"amqp:not-implemented", fail},
    {"amqp:decode-error", fail},
    {"amqp:invalid-field", fail},
    {"amqp:precondition-failed", fail},
    {"amqp:resource-limit-exceeded", fail},
    {"amqp:resource-deleted", fail},
    {"amqp:resource-locked", fail},
    {"amqp:illegal-state", fail},
    {"amqp:frame-size-too-small", fail},
    {"amqp:link:message-size-exceeded", fail},
    {"amqp:link:stolen", fail},
    {"amqp:link:redirect", fail},
    {"amqp:connection:redirect", fail},
    {"amqp:connection:framing-error", fail},
    {"amqp:session:window-violation", fail},
    {"amqp:session:errant-link", fail},
    {"amqp:session:handle-in-use", fail},
    {"amqp:session:unattached-handle", fail},
    {"com.microsoft:argument-error", fail},
    {"com.microsoft:argument-out-of-range", fail},
    {"com.microsoft:entity-disabled", fail},
    {"com.microsoft:entity-already-exists", fail},
    {"com.microsoft:message-lock-lost", fail},
    {"com.microsoft:session-lock-lost", fail},
    {"com.microsoft:message-not-found", fail},
}};

} // namespace

std::string to_text(const Condition& condition)
{
    const std::string name = one_line(condition.name);
    const std::string description = one_line(condition.description);
    if (name.empty()) return description.empty() ? "closed by the peer" : description;
    return description.empty() ? name : name + ": " + description;
}

bool is_lock_lost(const Condition& condition) noexcept
{
    return condition.name == "com.microsoft:session-lock-lost" || condition.name == "com.microsoft:message-lock-lost";
}

Recovery recovery_for(std::string_view condition, ConditionSource source) noexcept
{
    // Proton itself calls a dropped socket a framing error.
    if (source == ConditionSource::transport) return reconnect;
    const auto* const found = std::ranges::find(recoveries, condition, &std::pair<std::string_view, Recovery>::first);
    return found != recoveries.end() ? found->second : reattach_link;
}

bool concerns_the_message(std::string_view condition) noexcept
{
    constexpr std::array<std::string_view, 7> conditions{
        "amqp:link:message-size-exceeded",
        "amqp:decode-error",
        "amqp:invalid-field",
        "amqp:not-allowed", // such as one without a session, where the queue requires sessions
        "amqp:not-implemented",
        "com.microsoft:argument-error",
        "com.microsoft:argument-out-of-range"};
    return std::ranges::find(conditions, condition) != conditions.end();
}

escqrs::Duration least_delay_for(std::string_view condition) noexcept
{
    if (condition == "com.microsoft:server-busy") return std::chrono::seconds{2}; // its text asks for so much
    if (condition == "com.microsoft:container-close") return std::chrono::seconds{4};
    return escqrs::Duration::zero();
}

escqrs::Backoff reconnect_backoff(escqrs::Duration first, escqrs::Duration longest, escqrs::Jitter jitter)
{
    return {first, longest, std::move(jitter), {0.8, 1.2}};
}

} // namespace service_bus
