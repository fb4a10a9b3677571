// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/identifiers.hpp>
#include <escqrs/core/timestamp.hpp>

#include <cstddef>
#include <span>
#include <string_view>

namespace escqrs::inline v0 {

/// Bytes that someone else owns.
using Bytes = std::span<const std::byte>;

/// A stored event as a store shows it. Views and `stream` are valid only during the call that hands it over: copy what
/// must outlive it.
struct RecordedEvent {
    const StreamId& stream;        ///< that the event belongs to
    StreamVersion version;         ///< of the event in its stream
    GlobalPosition position;       ///< of the event in the log
    Timestamp recorded_at;         ///< by the store's clock
    EventId id;                    ///< unique in the log
    std::string_view type;         ///< event name
    unsigned schema_version;       ///< of the event type when it was written
    std::string_view content_type; ///< of the payload: its format
    Bytes payload;                 ///< the event's content
    Bytes metadata;                ///< encoded metadata
};

} // namespace escqrs::inline v0
