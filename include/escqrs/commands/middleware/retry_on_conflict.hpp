// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/commands/command_info.hpp>
#include <escqrs/core/clock.hpp>
#include <escqrs/core/error.hpp>
#include <escqrs/core/jitter.hpp>
#include <escqrs/core/retry_policy.hpp>

#include <algorithm>
#include <string>
#include <utility>

namespace escqrs {

/// A middleware that runs the handler and the middleware further in again after a `ConcurrencyError`, and only then.
///
/// Before each retry it waits a random part of the policy's delay, so that commands that met do not meet again ("full
/// jitter"); the thread that handles the command waits. It does not wait beyond the command's deadline.
/// @param clock  measures and waits; must outlive the bus
/// @throws InvalidOption
/// @throws ConcurrencyError  from `send`, the last one, when no attempt or no time is left
/// @throws CommandCancelled  from `send`, if a stop is requested while it waits
inline CommandMiddleware retry_on_conflict(RetryPolicy policy = {}, Clock& clock = system_clock(),
                                           Jitter jitter = random_jitter)
{
    detail::check(policy);
    detail::check_given(jitter, "jitter");
    return [policy, &clock, jitter = std::move(jitter)](const CommandInfo& command, NextHandler next) {
        Duration longest = std::min(policy.delay, policy.max_delay);
        for (unsigned attempt = 1;; ++attempt) {
            Duration delay{};
            try {
                return next();
            } catch (const ConcurrencyError&) {
                if (attempt >= policy.attempts) throw;
                delay = Duration{static_cast<Duration::rep>(static_cast<double>(longest.count()) * jitter())};
                const bool has_time = delay < time_until(command.deadline, clock.now());
                if (!has_time) throw;
            }
            if (!sleep_for(clock, delay, command.stop)) throw CommandCancelled{std::string{command.name}};
            longest = doubled(longest, policy.max_delay);
        }
    };
}

} // namespace escqrs
