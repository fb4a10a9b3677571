// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/commands/command_info.hpp>
#include <escqrs/core/clock.hpp>

#include <algorithm>
#include <exception>
#include <functional>
#include <utility>

namespace escqrs::inline v0 {

/// The duration and outcome of a command.
struct CommandTiming {
    const CommandInfo& command; ///< valid during the call
    Duration duration;          ///< of the handler and the middleware further in
    /// What it ended with; null if it was handled.
    std::exception_ptr error;
};

/// A middleware that calls `record` with every command that has ended and the time spent in the handler and the
/// middleware further in.
/// @param record  must not throw; called from any thread
/// @param clock   must outlive the bus
inline CommandMiddleware timing(std::function<void(const CommandTiming&)> record, Clock& clock = system_clock())
{
    return [record = std::move(record), &clock](const CommandInfo& command, NextHandler next) {
        const SteadyTime start = clock.steady();
        const auto elapsed = [&] { return clock.steady() - start; };
        try {
            next();
        } catch (...) {
            record({command, elapsed(), std::current_exception()});
            throw;
        }
        record({command, elapsed(), nullptr});
    };
}

} // namespace escqrs::inline v0
