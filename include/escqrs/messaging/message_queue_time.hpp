// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

// Shared by rooms; not API.

#include <escqrs/core/clock.hpp>

#include <algorithm>
#include <chrono>

namespace escqrs::inline v0::detail {

/// The time by both readings of a queue's clock: messages are scheduled by the time of day; locks, waits and the window
/// of duplicates are measured by the steady reading.
struct QueueTime {
    explicit QueueTime(const Clock& clock) : now{clock.now()}, steady{clock.steady()} {}

    Timestamp now;
    SteadyTime steady;
};

/// The part of a longer wait that a queue waits at once: the time of day may be set meanwhile, so it re-checks.
inline Duration next_wait(Duration wait) noexcept
{
    constexpr Duration longest = std::chrono::minutes{1};
    return std::min(wait, longest);
}

} // namespace escqrs::inline v0::detail
