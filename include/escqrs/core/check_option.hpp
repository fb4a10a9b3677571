// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

// Shared by rooms; not API.

#include <escqrs/core/error.hpp>
#include <escqrs/core/timestamp.hpp>

#include <cstdint>
#include <string>
#include <string_view>

// Every constructor that takes options checks them with these functions.
namespace escqrs::inline v0::detail {

/// @throws InvalidOption unless `value` is at least `least`
inline void check_at_least(std::uint64_t least, std::uint64_t value, std::string_view option)
{
    if (value < least) throw InvalidOption{option, "at least " + std::to_string(least), std::to_string(value)};
}

/// @throws InvalidOption unless `duration` is at least `least`
inline void check_at_least(Duration least, Duration duration, std::string_view option)
{
    const auto text = [](Duration value) { return std::to_string(value.count()) + " us"; };
    if (duration < least) throw InvalidOption{option, "at least " + text(least), text(duration)};
}

/// @throws InvalidOption if a pointer or function is missing
template <class Value>
void check_given(const Value& value, std::string_view option)
{
    if (value == nullptr) throw InvalidOption{option, "one", "none"};
}

inline constexpr Duration not_negative{0};
/// For intervals of polling, which must have a pause.
inline constexpr Duration not_zero{1};

} // namespace escqrs::inline v0::detail
