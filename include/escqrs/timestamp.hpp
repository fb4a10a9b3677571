// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace escqrs {

/// A moment in UTC, to the microsecond.
using Timestamp = std::chrono::sys_time<std::chrono::microseconds>;
using Duration = std::chrono::microseconds;

/// Formats a moment as RFC 3339 text in UTC: `2026-11-23T10:00:00.000000Z`. Years 0 to 9999.
std::string to_rfc3339(Timestamp time);

/// Parses RFC 3339 text in UTC, with up to six digits after the second; nothing if it is not that.
std::optional<Timestamp> parse_rfc3339(std::string_view text);

namespace detail {

inline void append_digits(std::string& out, std::uint64_t value, std::size_t width)
{
    const std::size_t begin = out.size();
    out.append(width, '0');
    for (std::size_t at = begin + width; value != 0 && at > begin; value /= 10) out[--at] = static_cast<char>('0' + value % 10);
}

/// Takes exactly `width` digits off the front of `text`.
inline bool take_digits(std::string_view& text, std::size_t width, unsigned& value)
{
    if (text.size() < width) return false;
    value = 0;
    for (const char digit : text.substr(0, width)) {
        if (digit < '0' || digit > '9') return false;
        value = value * 10 + static_cast<unsigned>(digit - '0');
    }
    text.remove_prefix(width);
    return true;
}

inline bool take(std::string_view& text, char expected)
{
    if (text.empty() || text.front() != expected) return false;
    text.remove_prefix(1);
    return true;
}

} // namespace detail

inline std::string to_rfc3339(Timestamp time)
{
    const auto day = std::chrono::floor<std::chrono::days>(time);
    const std::chrono::year_month_day date{day};
    const std::chrono::hh_mm_ss clock{time - day};
    std::string text;
    text.reserve(27);
    const auto put = [&](auto value, std::size_t width, char separator) {
        detail::append_digits(text, static_cast<std::uint64_t>(value), width);
        text.push_back(separator);
    };
    put(static_cast<int>(date.year()), 4, '-');
    put(static_cast<unsigned>(date.month()), 2, '-');
    put(static_cast<unsigned>(date.day()), 2, 'T');
    put(clock.hours().count(), 2, ':');
    put(clock.minutes().count(), 2, ':');
    put(clock.seconds().count(), 2, '.');
    put(clock.subseconds().count(), 6, 'Z');
    return text;
}

inline std::optional<Timestamp> parse_rfc3339(std::string_view text)
{
    namespace chrono = std::chrono;
    unsigned y = 0, mo = 0, d = 0, h = 0, mi = 0, s = 0;
    const bool read = detail::take_digits(text, 4, y) && detail::take(text, '-') && detail::take_digits(text, 2, mo) &&
                      detail::take(text, '-') && detail::take_digits(text, 2, d) && detail::take(text, 'T') &&
                      detail::take_digits(text, 2, h) && detail::take(text, ':') && detail::take_digits(text, 2, mi) &&
                      detail::take(text, ':') && detail::take_digits(text, 2, s);
    if (!read) return std::nullopt;
    unsigned micros = 0;
    if (detail::take(text, '.')) {
        unsigned digit = 0;
        unsigned scale = 100'000;
        if (!detail::take_digits(text, 1, digit)) return std::nullopt;
        do {
            micros += digit * scale;
            scale /= 10;
        } while (scale != 0 && detail::take_digits(text, 1, digit));
    }
    const chrono::year_month_day date{chrono::year{static_cast<int>(y)}, chrono::month{mo}, chrono::day{d}};
    if (!detail::take(text, 'Z') || !text.empty() || !date.ok() || h > 23 || mi > 59 || s > 59) return std::nullopt;
    return Timestamp{chrono::sys_days{date}} + chrono::hours{h} + chrono::minutes{mi} + chrono::seconds{s} +
           chrono::microseconds{micros};
}

} // namespace escqrs
