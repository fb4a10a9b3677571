// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace escqrs::detail {

/// A moment: whole seconds since 1970-01-01T00:00:00Z and the fraction of a second after them.
struct SplitTime {
    std::int64_t seconds = 0;
    std::uint64_t fraction = 0; ///< in units of 10^-digits seconds
};

inline constexpr std::int64_t seconds_per_day = 86400;
inline constexpr std::int64_t first_rfc3339_second = -62167219200; ///< 0000-01-01T00:00:00Z
inline constexpr std::int64_t last_rfc3339_second = 253402300799;  ///< 9999-12-31T23:59:59Z

constexpr std::uint64_t power_of_ten(unsigned exponent) noexcept
{
    std::uint64_t power = 1;
    for (unsigned count = 0; count < exponent; ++count) power *= 10;
    return power;
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar
/// (H. Hinnant, "chrono-compatible low-level date algorithms").
constexpr std::int64_t days_from_civil(std::int64_t year, unsigned month, unsigned day) noexcept
{
    year -= month <= 2 ? 1 : 0;
    const std::int64_t era = (year >= 0 ? year : year - 399) / 400;
    const std::int64_t year_of_era = year - era * 400;
    const std::int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

constexpr unsigned days_in_month(std::int64_t year, unsigned month) noexcept
{
    constexpr unsigned days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : days[month - 1];
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
    const std::int64_t shifted = time.seconds - first_rfc3339_second; // not negative
    const auto second = static_cast<std::uint64_t>(shifted % seconds_per_day);
    std::int64_t days = shifted / seconds_per_day; // since 0000-01-01
    std::int64_t year = days / 366;
    while (days_from_civil(year + 1, 1, 1) - days_from_civil(0, 1, 1) <= days) ++year;
    days -= days_from_civil(year, 1, 1) - days_from_civil(0, 1, 1);
    unsigned month = 1;
    for (; days >= days_in_month(year, month); ++month) days -= days_in_month(year, month);
    append(static_cast<std::uint64_t>(year), 4);
    text += '-';
    append(month, 2);
    text += '-';
    append(static_cast<std::uint64_t>(days) + 1, 2);
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

    const unsigned year = number(4);
    expect("-");
    const unsigned month = number(2);
    expect("-");
    const unsigned day = number(2);
    expect("Tt");
    const unsigned hour = number(2);
    expect(":");
    const unsigned minute = number(2);
    expect(":");
    const unsigned second = number(2);
    if (!valid || month < 1 || month > 12 || day < 1 || day > days_in_month(year, month)) return std::nullopt;
    if (hour > 23 || minute > 59 || second > 59) return std::nullopt;

    SplitTime time;
    time.seconds = days_from_civil(year, month, day) * seconds_per_day + hour * 3600U + minute * 60U + second;
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

} // namespace escqrs::detail
