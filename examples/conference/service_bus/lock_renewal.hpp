// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/timestamp.hpp>

#include <algorithm>
#include <chrono>
#include <optional>

namespace service_bus {

/// When to renew a lock that was taken, or renewed, at `since`: 10 seconds before its end, or at half of its time if
/// that is shorter. Nothing if that would be after `give_up_at`.
inline std::optional<escqrs::SteadyTime> next_renewal(escqrs::SteadyTime since, escqrs::SteadyTime locked_until,
                                                      escqrs::SteadyTime give_up_at)
{
    constexpr std::chrono::seconds margin{10};
    const escqrs::SteadyTime due =
        locked_until - std::min<escqrs::Duration>(time_until(locked_until, since) / 2, margin);
    if (due > give_up_at) return std::nullopt;
    return due;
}

} // namespace service_bus
