// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/detail/rfc3339.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace escqrs {

/// A moment in UTC, to the microsecond.
using Timestamp = std::chrono::sys_time<std::chrono::microseconds>;
using Duration = std::chrono::microseconds;

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

} // namespace escqrs
