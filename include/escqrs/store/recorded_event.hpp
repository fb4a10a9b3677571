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
    const StreamId& stream;
    StreamVersion version;
    GlobalPosition position;
    Timestamp recorded_at; ///< by the store's clock
    EventId id;
    std::string_view type; ///< event name
    unsigned schema_version;
    std::string_view content_type;
    Bytes payload;
    Bytes metadata;
};

} // namespace escqrs::inline v0
