// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/identifiers.hpp>

namespace escqrs::inline v0 {

/// How far a reader has come, and in which log.
///
/// A position alone is not enough: a log that was restored from a backup, or that lost its end in a failover, continues
/// with other events at positions that the reader has passed. The id of the event at the position detects that.
struct Bookmark {
    GlobalPosition position{}; ///< of the last event that was read; 0 before the first
    /// Nil: not known; the next reader assumes its own log.
    LogId log{};
    /// The one at `position`; nil: not known, or no event is there.
    EventId event{};

    friend bool operator==(const Bookmark&, const Bookmark&) = default;
};

} // namespace escqrs::inline v0
