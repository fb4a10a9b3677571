// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/identifiers.hpp>

namespace escqrs {

/// How far a reader has come, and in which log.
///
/// A position alone does not tell: a log that was restored from a backup, or that lost its end in a failover, goes on with
/// other events at positions that the reader has passed. They are recognised by the id of the event at the position.
struct Bookmark {
    GlobalPosition position{};
    LogId log{};     ///< nil: not known; the next reader takes it to be its own log
    EventId event{}; ///< the one at `position`; nil: not known, or no event is there

    friend bool operator==(const Bookmark&, const Bookmark&) = default;
};

} // namespace escqrs
