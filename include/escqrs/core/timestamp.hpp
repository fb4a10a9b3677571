// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/rfc3339.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace escqrs::inline v0 {

/// A moment in UTC, to the microsecond.
using Timestamp = std::chrono::sys_time<std::chrono::microseconds>;
/// A length of time, in microseconds.
using Duration = std::chrono::microseconds;

/// A reading of a clock that is never set, for durations (`Clock::steady`). What it counts from depends on the clock.
struct SteadyCounter {
    /// As `std::chrono` asks of a clock: its readings never decrease.
    static constexpr bool is_steady = true;
};
/// A reading, in microseconds.
using SteadyTime = std::chrono::time_point<SteadyCounter, Duration>;

/// `moment + by`, or the last or first moment there is. For every sum with a duration that a caller chooses.
template <class Counter>
constexpr std::chrono::time_point<Counter, Duration> later_by(std::chrono::time_point<Counter, Duration> moment,
                                                              Duration by) noexcept
{
    using Moment = std::chrono::time_point<Counter, Duration>;
    if (by > Duration::zero() && moment > Moment::max() - by) return Moment::max();
    if (by < Duration::zero() && moment < Moment::min() - by) return Moment::min();
    return moment + by;
}

/// The time from `now` to `end`: zero if `end` is past, and never too long for a `Duration`.
template <class Counter>
constexpr Duration time_until(std::chrono::time_point<Counter, Duration> end,
                              std::chrono::time_point<Counter, Duration> now) noexcept
{
    if (end <= now) return Duration::zero();
    const bool fits = now >= decltype(now){} || end <= later_by(now, Duration::max());
    return fits ? end - now : Duration::max();
}

/// Formats a moment as RFC 3339 text in UTC: `2026-11-23T10:00:00.000000Z`. Years 0 to 9999.
inline std::string to_rfc3339(Timestamp time)
{
    const auto second = std::chrono::floor<std::chrono::seconds>(time);
    return detail::to_rfc3339({second.time_since_epoch().count(), static_cast<std::uint64_t>((time - second).count())},
                              6);
}

/// Parses RFC 3339 text; nothing if it is not that, or finer than a microsecond.
inline std::optional<Timestamp> parse_rfc3339(std::string_view text)
{
    const auto parsed = detail::parse_rfc3339(text, 6);
    if (!parsed) return std::nullopt;
    return Timestamp{std::chrono::seconds{parsed->seconds}} + Duration{parsed->fraction};
}

} // namespace escqrs::inline v0
