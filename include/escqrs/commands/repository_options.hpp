// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/commands/snapshot.hpp>
#include <escqrs/core/backoff.hpp>
#include <escqrs/core/clock.hpp>
#include <escqrs/core/id_generator.hpp>
#include <escqrs/core/identifiers.hpp>

#include <cstddef>
#include <exception>
#include <functional>

namespace escqrs::inline v0 {

/// How a repository retries, draws event ids, takes snapshots, and bounds the size of events.
struct RepositoryOptions {
    RetryPolicy retry;                                  ///< for appends that meet a conflict
    IdGenerator ids = time_ordered_uuid;                ///< draws event ids where none are derived from a command id
    Clock* clock = &system_clock();                     ///< for pauses between tries; must outlive the repository
    SnapshotPolicy snapshots = SnapshotPolicy::never(); ///< for an aggregate that `HasSnapshots`
    /// Bytes of one event as stored, with its metadata. A larger one is refused, because a queue could not take it:
    /// keep this well below the queue's limit, since an event takes more bytes as JSON.
    std::size_t max_event_size = ~std::size_t{0};
    /// Called when the store could not read or write a snapshot; the operation completes all the same.
    std::function<void(const StreamId&, std::exception_ptr)> on_snapshot_failure = {};
};

} // namespace escqrs::inline v0
