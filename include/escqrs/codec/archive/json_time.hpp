// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

// Shared by rooms; not API.

#include <escqrs/core/rfc3339.hpp>

#include <cstdint>
#include <optional>
#include <type_traits>

namespace escqrs::inline v0::archive::detail {

/// The smallest exponent, at most 18, whose power of ten reaches `number`.
consteval unsigned decimal_digits(std::uint64_t number)
{
    unsigned count = 0;
    while (count < 18 && escqrs::detail::power_of_ten(count) < number) ++count;
    return count;
}

/// Counts seconds, or decimal fractions or multiples of them.
template <class Time>
inline constexpr bool has_decimal_ticks =
    escqrs::detail::power_of_ten(decimal_digits(Time::period::den)) == static_cast<std::uint64_t>(Time::period::den) &&
    (Time::period::den == 1 || Time::period::num == 1);

/// Digits of the fraction of a second that a point in time needs: 6 for microseconds.
template <class Time>
consteval unsigned fraction_digits()
{
    static_assert(std::is_integral_v<typename Time::rep>, "escqrs: a point in time must count in integers");
    static_assert(has_decimal_ticks<Time>,
                  "escqrs: a point in time must count seconds, or decimal fractions or multiples of them");
    return decimal_digits(Time::period::den);
}

/// Nothing if the time is outside the years that RFC 3339 can write.
template <class Time>
std::optional<escqrs::detail::SplitTime> split_time(const Time& time) noexcept
{
    constexpr auto multiple = static_cast<std::int64_t>(Time::period::num);
    constexpr auto parts = static_cast<std::int64_t>(escqrs::detail::power_of_ten(fraction_digits<Time>()));
    const auto count = time.time_since_epoch().count();
    const auto ticks = static_cast<std::int64_t>(count);
    if (static_cast<decltype(count)>(ticks) != count || (ticks < 0) != (count < decltype(count){})) return std::nullopt;
    const std::int64_t fraction = (ticks % parts + parts) % parts;
    const std::int64_t units = ticks / parts - (ticks % parts < 0 ? 1 : 0);
    if (units < escqrs::detail::first_rfc3339_second || units > escqrs::detail::last_rfc3339_second)
        return std::nullopt;
    const std::int64_t seconds = units * multiple;
    if (seconds < escqrs::detail::first_rfc3339_second || seconds > escqrs::detail::last_rfc3339_second)
        return std::nullopt;
    return escqrs::detail::SplitTime{seconds, static_cast<std::uint64_t>(fraction)};
}

/// Nothing if the time is outside what `Time` can hold, or between two of its ticks.
template <class Time>
std::optional<Time> join_time(const escqrs::detail::SplitTime& split) noexcept
{
    using Count = typename Time::rep;
    constexpr auto multiple = static_cast<std::int64_t>(Time::period::num);
    constexpr auto parts = static_cast<std::int64_t>(escqrs::detail::power_of_ten(fraction_digits<Time>()));
    constexpr std::int64_t largest = INT64_MAX;
    if (split.seconds % multiple != 0) return std::nullopt;
    std::int64_t units = split.seconds / multiple;
    auto rest = static_cast<std::int64_t>(split.fraction);
    if (units < 0 && rest != 0) { // count towards zero, so that the smallest time does not overflow on the way
        ++units;
        rest -= parts;
    }
    if (units > largest / parts || units < -(largest / parts)) return std::nullopt;
    const std::int64_t whole = units * parts;
    if (rest > 0 ? whole > largest - rest : whole < -largest - 1 - rest) return std::nullopt;
    const std::int64_t ticks = whole + rest;
    const auto count = static_cast<Count>(ticks);
    if (static_cast<std::int64_t>(count) != ticks || (ticks < 0) != (count < Count{})) return std::nullopt;
    return Time{typename Time::duration{count}};
}

} // namespace escqrs::inline v0::archive::detail
