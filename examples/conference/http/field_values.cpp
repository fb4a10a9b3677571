// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "field_values.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>

namespace http {

bool same_name(std::string_view left, std::string_view right) noexcept
{
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
    return std::ranges::equal(left, right, {}, lower, lower);
}

namespace {

/// Whether a list of entity tags names `etag`, by the weak comparison (RFC 9110, sections 8.8.3 and 13.1.2).
bool is_in_list(std::string_view list, std::string_view etag) noexcept
{
    for (;;) {
        while (!list.empty() && (list.front() == ' ' || list.front() == '\t' || list.front() == ','))
            list.remove_prefix(1);
        if (list.starts_with("W/")) list.remove_prefix(2);
        const auto end = list.starts_with('"') ? list.find('"', 1) : std::string_view::npos;
        if (end == std::string_view::npos) return false;
        if (list.substr(0, end + 1) == etag) return true;
        list.remove_prefix(end + 1);
    }
}

} // namespace

bool asks_for(const Request& request, std::string_view media_type) noexcept
{
    constexpr std::string_view blanks = " \t";
    const auto names = [&](std::string_view list) {
        for (std::size_t begin = 0; begin <= list.size();) {
            const auto end = std::min(list.find(',', begin), list.size());
            auto range = list.substr(begin, end - begin);
            range = range.substr(0, range.find(';'));
            range.remove_prefix(std::min(range.find_first_not_of(blanks), range.size()));
            range = range.substr(0, range.find_first_of(blanks));
            if (same_name(range, media_type)) return true;
            begin = end + 1;
        }
        return false;
    };
    return std::ranges::any_of(
        request.headers, [&](const auto& field) { return same_name(field.first, "Accept") && names(field.second); });
}

bool is_unchanged(const Request& request, std::string_view etag) noexcept
{
    return std::ranges::any_of(request.headers, [&](const auto& field) {
        return same_name(field.first, "If-None-Match") && (field.second == "*" || is_in_list(field.second, etag));
    });
}

std::string_view date_now() noexcept
{
    constexpr std::array days{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    constexpr std::array months{"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    thread_local std::time_t written = -1; // most answers go out in the same second as the one before
    thread_local std::array<char, 64> text{};
    const std::time_t now = std::time(nullptr);
    if (now != written) {
        std::tm utc{};
        gmtime_r(&now, &utc);
        // NOLINTNEXTLINE(cppcoreguidelines-pro-type-vararg): std::format does not exist yet, a stream costs far more
        (void)std::snprintf(text.data(), text.size(), "%s, %02d %s %04d %02d:%02d:%02d GMT",
                            days.at(static_cast<std::size_t>(utc.tm_wday)), utc.tm_mday,
                            months.at(static_cast<std::size_t>(utc.tm_mon)), utc.tm_year + 1900, utc.tm_hour,
                            utc.tm_min, utc.tm_sec);
        written = now;
    }
    constexpr std::size_t length = std::string_view{"Sun, 06 Nov 1994 08:49:37 GMT"}.size();
    return {text.data(), length};
}

} // namespace http
