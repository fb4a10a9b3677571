// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/config.hpp>
#include <escqrs/core/hex.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace escqrs::inline v0 {

/// A place in a trace: W3C Trace Context, https://www.w3.org/TR/trace-context/.
struct TraceContext {
    /// Of the whole trace: 32 lower-case hexadecimal digits, not all of them 0.
    std::string trace_id;
    /// Of the step in it, which is the parent of what it causes: 16 such digits.
    std::string span_id;
    bool is_sampled = false; ///< the caller records this trace

    /// What a `traceparent` header says; nothing if it is not valid (section 3.2 of the recommendation). From versions
    /// newer than 00, which this class writes, it takes what version 00 knows.
    static std::optional<TraceContext> parse(std::string_view traceparent);

    /// The header, in version 00.
    std::string traceparent() const { return "00-" + trace_id + '-' + span_id + (is_sampled ? "-01" : "-00"); }

    friend bool operator==(const TraceContext&, const TraceContext&) = default;
};

#if ESCQRS_HAS_BODIES

ESCQRS_INLINE std::optional<TraceContext> TraceContext::parse(std::string_view traceparent)
{
    // version "-" trace-id "-" parent-id "-" trace-flags: 2, 32, 16 and 2 digits. A newer version may continue after a
    // dash.
    constexpr std::size_t length = 55;
    if (traceparent.size() < length) return std::nullopt;
    const auto version = traceparent.substr(0, 2);
    const auto trace_id = traceparent.substr(3, 32);
    const auto span_id = traceparent.substr(36, 16);
    const auto flags = traceparent.substr(53, 2);
    const auto is_hex = [](std::string_view text) {
        return text.find_first_not_of(detail::hex_digits) == std::string_view::npos;
    };
    const auto is_id = [&](std::string_view text) {
        return is_hex(text) && text.find_first_not_of('0') != std::string_view::npos;
    };
    const bool has_dashes = traceparent[2] == '-' && traceparent[35] == '-' && traceparent[52] == '-';
    const bool ends =
        traceparent.size() == length || (version != "00" && traceparent[length] == '-'); // what follows is unknown here
    if (!has_dashes || !ends || !is_hex(version) || version == "ff" || !is_id(trace_id) || !is_id(span_id) ||
        !is_hex(flags)) {
        return std::nullopt;
    }
    const bool is_sampled = detail::hex_digits.find(flags[1]) % 2 == 1;
    return TraceContext{std::string{trace_id}, std::string{span_id}, is_sampled};
}

#endif // ESCQRS_HAS_BODIES

} // namespace escqrs::inline v0
