// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/config.hpp>
#include <escqrs/messaging/message_queue.hpp>
#include <escqrs/sqlite/database.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace escqrs::inline v0::sqlite::detail {

/// Stands for "none" on its way into a table.
inline constexpr std::int64_t no_time = -1;

inline std::int64_t encode_time(const std::optional<Timestamp>& time) noexcept
{
    return time ? time->time_since_epoch().count() : no_time;
}

/// A caller's number as SQLite takes it.
inline std::int64_t as_number(std::uint64_t value) noexcept
{
    return static_cast<std::int64_t>(std::min<std::uint64_t>(value, std::numeric_limits<std::int64_t>::max()));
}

/// Names and values one after the other, each behind its length in four bytes, the lowest first.
ESCQRS_INLINE std::string encode_properties(const MessageProperties& properties);

/// @throws TransportError if `bytes` are not what `encode_properties` makes
ESCQRS_INLINE MessageProperties decode_properties(std::span<const std::byte> bytes);

/// The message in the columns from `first` on, in the order of `queue_sql`.
ESCQRS_INLINE Message decode_message(const Rows& rows, int first);

#if ESCQRS_HAS_BODIES

ESCQRS_INLINE std::string encode_properties(const MessageProperties& properties)
{
    std::string bytes;
    const auto append = [&](std::string_view text) {
        for (unsigned shift = 0; shift < 32; shift += 8) {
            bytes.push_back(static_cast<char>(text.size() >> shift & 0xFFU));
        }
        bytes += text;
    };
    for (const auto& [name, value] : properties) {
        append(name);
        append(value);
    }
    return bytes;
}

ESCQRS_INLINE MessageProperties decode_properties(std::span<const std::byte> bytes)
{
    const auto refuse = [] { throw TransportError{"the properties of a queued message are damaged"}; };
    const auto next = [&] {
        if (bytes.size() < 4) refuse();
        std::size_t size = 0;
        for (std::size_t at = 0; at < 4; ++at) size |= std::to_integer<std::size_t>(bytes[at]) << (8 * at);
        bytes = bytes.subspan(4);
        if (bytes.size() < size) refuse();
        const std::string_view text{reinterpret_cast<const char*>(bytes.data()), size}; // NOLINT: char aliases
        bytes = bytes.subspan(size);
        return text;
    };
    MessageProperties properties;
    while (!bytes.empty()) {
        const std::string_view name = next();
        properties.add(name, next());
    }
    return properties;
}

ESCQRS_INLINE Message decode_message(const Rows& rows, int first)
{
    Message message;
    message.message_id = rows.text(first);
    message.session_id = rows.text(first + 1);
    message.subject = rows.text(first + 2);
    message.correlation_id = rows.text(first + 3);
    message.content_type = rows.text(first + 4);
    if (!rows.is_null(first + 5)) message.scheduled_enqueue_time = rows.time(first + 5);
    message.properties = decode_properties(rows.blob(first + 6));
    const auto body = rows.blob(first + 7);
    message.body.assign(reinterpret_cast<const char*>(body.data()), body.size()); // NOLINT: char aliases
    return message;
}

#endif // ESCQRS_HAS_BODIES

} // namespace escqrs::inline v0::sqlite::detail
