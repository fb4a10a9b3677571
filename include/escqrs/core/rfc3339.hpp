// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

// Shared by rooms; not API.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace escqrs::inline v0::detail {

/// A moment: whole seconds since 1970-01-01T00:00:00Z and the fraction of a second after them.
struct SplitTime {
    std::int64_t seconds = 0;
    std::uint64_t fraction = 0; ///< in units of 10^-digits seconds
};

inline constexpr std::int64_t first_rfc3339_second = -62167219200; ///< 0000-01-01T00:00:00Z
inline constexpr std::int64_t last_rfc3339_second = 253402300799;  ///< 9999-12-31T23:59:59Z

constexpr std::uint64_t power_of_ten(unsigned exponent) noexcept
{
    std::uint64_t power = 1;
    for (unsigned count = 0; count < exponent; ++count) power *= 10;
    return power;
}

/// `2026-11-23T10:00:00.000000Z`, with `digits` digits of fraction. The year must be within 0 and 9999.
inline std::string to_rfc3339(SplitTime time, unsigned digits)
{
    std::string text;
    const auto append = [&](std::uint64_t number, unsigned width) {
        const std::size_t from = text.size();
        text.append(width, '0');
        for (std::size_t at = from + width; at-- > from; number /= 10) text[at] = static_cast<char>('0' + number % 10);
    };
    const std::chrono::sys_seconds moment{std::chrono::seconds{time.seconds}};
    const auto midnight = std::chrono::floor<std::chrono::days>(moment);
    const std::chrono::year_month_day date{midnight};
    const auto second = static_cast<std::uint64_t>((moment - midnight).count());
    append(static_cast<unsigned>(int{date.year()}), 4);
    text += '-';
    append(unsigned{date.month()}, 2);
    text += '-';
    append(unsigned{date.day()}, 2);
    text += 'T';
    append(second / 3600, 2);
    text += ':';
    append(second / 60 % 60, 2);
    text += ':';
    append(second % 60, 2);
    if (digits != 0) {
        text += '.';
        append(time.fraction, digits);
    }
    return text += 'Z';
}

/// Reads an RFC 3339 date-time with any offset. Nothing if it is not one, is a leap second or outside the years 0 to
/// 9999 in UTC, or has digits of the fraction other than 0 beyond `digits`, which would be lost.
inline std::optional<SplitTime> parse_rfc3339(std::string_view text, unsigned digits)
{
    std::size_t at = 0;
    bool valid = true;
    const auto digit_here = [&] { return at < text.size() && text[at] >= '0' && text[at] <= '9'; };
    const auto number = [&](unsigned width) {
        unsigned value = 0;
        for (unsigned count = 0; count < width; ++count) {
            if (!digit_here()) return valid = false, 0U;
            value = value * 10 + static_cast<unsigned>(text[at++] - '0');
        }
        return value;
    };
    const auto one_of = [&](std::string_view characters) {
        const bool found = at < text.size() && characters.find(text[at]) != std::string_view::npos;
        at += found ? 1U : 0U;
        return found;
    };
    const auto expect = [&](std::string_view characters) { valid = one_of(characters) && valid; };

    const std::chrono::year year{static_cast<int>(number(4))};
    expect("-");
    const std::chrono::month month{number(2)};
    expect("-");
    const std::chrono::year_month_day date{year, month, std::chrono::day{number(2)}};
    expect("Tt");
    const unsigned hour = number(2);
    expect(":");
    const unsigned minute = number(2);
    expect(":");
    const unsigned second = number(2);
    if (!valid || !date.ok() || hour > 23 || minute > 59 || second > 59) return std::nullopt;

    SplitTime time;
    const std::chrono::sys_seconds midnight = std::chrono::sys_days{date};
    time.seconds = midnight.time_since_epoch().count() + hour * 3600U + minute * 60U + second;
    unsigned fraction_digits = 0;
    if (one_of(".")) {
        if (!digit_here()) return std::nullopt;
        for (; digit_here(); ++at, ++fraction_digits) {
            const auto digit = static_cast<unsigned>(text[at] - '0');
            if (fraction_digits < digits) time.fraction = time.fraction * 10 + digit;
            else if (digit != 0) return std::nullopt;
        }
    }
    if (fraction_digits < digits) time.fraction *= power_of_ten(digits - fraction_digits);

    if (!one_of("Zz")) {
        const bool west = at < text.size() && text[at] == '-';
        expect("+-");
        const unsigned offset_hour = number(2);
        expect(":");
        const unsigned offset_minute = number(2);
        if (!valid || offset_hour > 23 || offset_minute > 59) return std::nullopt;
        const std::int64_t offset = offset_hour * 3600U + offset_minute * 60U;
        time.seconds += west ? offset : -offset;
    }
    if (at != text.size()) return std::nullopt;
    if (time.seconds < first_rfc3339_second || time.seconds > last_rfc3339_second) return std::nullopt;
    return time;
}

} // namespace escqrs::inline v0::detail
