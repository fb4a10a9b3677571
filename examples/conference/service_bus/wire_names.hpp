// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/messaging/message_queue.hpp>

#include <optional>
#include <string>
#include <string_view>

// What annotations and application properties are called on the wire.
namespace service_bus::wire_names {

inline constexpr const char* scheduled_enqueue_time = "x-opt-scheduled-enqueue-time";
inline constexpr const char* partition_key = "x-opt-partition-key";
inline constexpr std::string_view diagnostic_id = "Diagnostic-Id"; ///< of Azure's SDKs: a W3C traceparent
inline constexpr std::string_view traceparent = "traceparent";
inline constexpr std::string_view event_traceparent = "cloudEvents:traceparent";

/// The text of a property; nothing if there is none of that name.
inline std::optional<std::string> find_text(const escqrs::MessageProperties& properties, std::string_view wanted)
{
    for (const auto& [name, text] : properties) {
        if (name == wanted) return std::string{text};
    }
    return std::nullopt;
}

} // namespace service_bus::wire_names
