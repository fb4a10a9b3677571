// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/commands/command_info.hpp>
#include <escqrs/config.hpp>
#include <escqrs/core/backoff.hpp>
#include <escqrs/core/clock.hpp>
#include <escqrs/core/error.hpp>

#include <string>
#include <utility>

namespace escqrs::inline v0 {

/// A middleware that runs the handler and the middleware further in again after a `ConcurrencyError`, and only then; not
/// after a `PreconditionFailed`, which would come again.
///
/// Before each retry it waits a random part of the policy's delay, so that commands that met do not meet again ("full
/// jitter"); the thread that handles the command waits. It does not wait beyond the command's deadline.
/// @param clock  measures and waits; must outlive the bus
/// @throws InvalidOption
/// @throws ConcurrencyError  from `send`, the last one, when no attempt or no time is left
/// @throws CommandCancelled  from `send`, if a stop is requested while it waits
ESCQRS_INLINE CommandMiddleware retry_on_conflict(RetryPolicy policy = {}, Clock& clock = system_clock(),
                                                  Jitter jitter = random_jitter);

#if ESCQRS_HAS_BODIES

ESCQRS_INLINE CommandMiddleware retry_on_conflict(RetryPolicy policy, Clock& clock, Jitter jitter)
{
    detail::check(policy);
    detail::check_given(jitter, "jitter");
    const Backoff full_jitter{policy.delay, policy.max_delay, std::move(jitter), {0.0, 1.0}};
    return [attempts = policy.attempts, full_jitter, &clock](const CommandInfo& command, NextHandler next) {
        Backoff backoff = full_jitter;
        for (unsigned attempt = 1;; ++attempt) {
            Duration delay{};
            try {
                return next();
            } catch (const ConcurrencyError& conflict) {
                if (attempt >= attempts || conflict.failure_kind() == FailureKind::refused) throw;
                delay = backoff.next();
                const bool has_time = delay < time_until(command.deadline, clock.now());
                if (!has_time) throw;
            }
            if (!sleep_for(clock, delay, command.stop)) throw CommandCancelled{std::string{command.name}};
        }
    };
}

#endif // ESCQRS_HAS_BODIES

} // namespace escqrs::inline v0
