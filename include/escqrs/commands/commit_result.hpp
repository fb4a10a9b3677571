// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/identifiers.hpp>

namespace escqrs::inline v0 {

/// The result of a saved change: version of the stream and log position after its last event.
struct CommitResult {
    StreamId stream;         ///< that was changed
    StreamVersion version;   ///< of its last event
    GlobalPosition position; ///< of that event in the log
    /// The command was carried out before, and this is its first result.
    bool repeated = false;

    /// Equal if both name the same commit, whether or not one was a repeat.
    friend bool operator==(const CommitResult& left, const CommitResult& right) noexcept
    {
        return left.stream == right.stream && left.version == right.version && left.position == right.position;
    }
};

} // namespace escqrs::inline v0
