// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/clock.hpp>
#include <escqrs/core/error.hpp>
#include <escqrs/core/function_ref.hpp>
#include <escqrs/core/identifiers.hpp>
#include <escqrs/core/stop_token.hpp>
#include <escqrs/store/event_filter.hpp>
#include <escqrs/store/recorded_event.hpp>

#include <concepts>
#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

namespace escqrs::inline v0 {

/// An encoded event on its way into a store. Views only: what they point at must live until `append` returns.
struct NewEvent {
    EventId id;                    ///< unique in the log
    std::string_view type;         ///< event name
    unsigned schema_version = 0;   ///< of the event type
    std::string_view content_type; ///< of the payload: its format
    Bytes payload;                 ///< the event's content
    Bytes metadata;                ///< encoded metadata
};

/// The state of an aggregate as it was after event `version` of its stream: loading may begin there. Views only.
struct Snapshot {
    StreamVersion version;         ///< of the last event in it
    unsigned schema_version = 0;   ///< of the aggregate's state
    std::string_view content_type; ///< of the payload: its format
    Bytes payload;                 ///< the aggregate's state
};

/// Receives a snapshot, whose views are valid only during the call.
using SnapshotSink = FunctionRef<void(const Snapshot&)>;

/// Receives events one by one; returns whether it wants the next one. It may throw, and may use the store.
using EventSink = FunctionRef<bool(const RecordedEvent&)>;

/// Where an append ended: version and position of its last event.
struct AppendResult {
    StreamVersion version;   ///< in the stream
    GlobalPosition position; ///< in the log
    /// The event ids were already stored: by an earlier call, whose contents may differ, or by this one, which the store
    /// sent again after it had lost its connection.
    bool repeated = false;

    /// Equal if both ended at the same place, whether or not one was a repeat.
    friend bool operator==(const AppendResult& left, const AppendResult& right) noexcept
    {
        return left.version == right.version && left.position == right.position;
    }
};

/// Where a stored event is.
struct EventLocation {
    StreamId stream;         ///< that the event belongs to
    StreamVersion version;   ///< of the event in its stream
    GlobalPosition position; ///< of the event in the log
};

/// A log of events in streams.
///
/// The semantics are enforced by the suite in testing/event_store_conformance.hpp, which every store runs:
///
/// - `append(stream, expected, events)` stores all events or none; once it has returned they are durable, unless the
///   store keeps them in memory. `events` must not be empty (`StoreError`). Throws `ConcurrencyError` if the stream is
///   not at `expected`, and writes nothing; of several appends at one version exactly one wins.
///   `ExpectedVersion::any()` never conflicts. An append whose event ids are stored already, as one append to the
///   same stream, returns the first result, marked as `repeated`, whatever `expected` says, and writes nothing; ids
///   that are stored otherwise, or twice in one call, throw `DuplicateEventId`.
/// - `read_stream(stream, from, sink)` shows the stream's events from version `from` on, in order, to `sink`; nothing
///   if there is no such stream. The stream is read page by page and never held as a whole.
/// - `read_log(after, at_most, sink)` shows at most `at_most` events after position `after`, in order, and returns the
///   position of the last one shown, or `after`. No event ever turns up at or below a position that was read.
/// - `read_log(after, at_most, filter, sink)` shows at most `at_most` of the events after `after` that match `filter`,
///   in order, and returns how far it has read the log: a reader that continues from there never looks again at what
///   was skipped. It may return early, having skipped many events; only at the end of the log does it return `after`.
/// - `write_snapshot(stream, snapshot)` keeps a snapshot in place of the previous one, for a stream that has events;
///   for another it does nothing. Snapshots may be lost, which costs nothing but time. `read_snapshot(stream, sink)`
///   shows the snapshot and returns true; false if there is none.
/// - `log_id()` identifies the log. It is drawn when the log is created and stays the same for as long as the log
///   exists, in every copy and backup of it: a reader compares it to find out whether its checkpoint was made from this
///   log. Never nil.
/// - `head()` is the position of the last event; 0 for an empty log.
/// - `locate(event_id)` returns where an event is.
/// - `wait_for_events(after, wait, stop)` returns true as soon as there is an event after `after`, whichever process has
///   appended it; false after `wait` or when `stop` is requested.
///
/// Every operation may be called from any thread, and throws `StoreError` if the store cannot do it.
template <class Store>
concept EventStore = requires(Store& store, const StreamId& stream, ExpectedVersion expected,
                              std::span<const NewEvent> events, StreamVersion from, GlobalPosition after,
                              std::size_t at_most, Duration wait, stop_token stop, EventSink sink, EventId id,
                              const EventFilter& filter, const Snapshot& snapshot, SnapshotSink snapshot_sink) {
    { store.append(stream, expected, events) } -> std::same_as<AppendResult>;
    { store.read_stream(stream, from, sink) } -> std::same_as<void>;
    { store.read_log(after, at_most, sink) } -> std::same_as<GlobalPosition>;
    { store.read_log(after, at_most, filter, sink) } -> std::same_as<GlobalPosition>;
    { store.read_snapshot(stream, snapshot_sink) } -> std::same_as<bool>;
    { store.write_snapshot(stream, snapshot) } -> std::same_as<void>;
    { store.log_id() } -> std::same_as<LogId>;
    { store.head() } -> std::same_as<GlobalPosition>;
    { store.locate(id) } -> std::same_as<std::optional<EventLocation>>;
    { store.wait_for_events(after, wait, stop) } -> std::same_as<bool>;
};

} // namespace escqrs::inline v0
