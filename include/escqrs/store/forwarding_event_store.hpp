// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/stop_token.hpp>
#include <escqrs/store/event_store.hpp>

#include <concepts>
#include <cstddef>
#include <optional>
#include <span>
#include <utility>

namespace escqrs::inline v0 {

/// Holds another store and passes every operation on to it.
///
/// A base for stores that add something to a few operations, such as a measurement: derive from it and declare these
/// operations again. A class that declares one `read_log` needs `using ForwardingEventStore::read_log` for the other.
/// @par Thread safety  as the store inside
template <EventStore Store>
class ForwardingEventStore {
public:
    /// Constructs the store inside from `arguments`.
    template <class... Arguments>
        requires std::constructible_from<Store, Arguments...>
    explicit ForwardingEventStore(Arguments&&... arguments) : store_(std::forward<Arguments>(arguments)...)
    {
    }

    /// The store inside.
    Store& store() noexcept { return store_; }
    const Store& store() const noexcept { return store_; } ///< the same, read-only

    /// Passed on to the store inside, as `EventStore` describes it.
    /// @{
    AppendResult append(const StreamId& stream, ExpectedVersion expected, std::span<const NewEvent> events)
    {
        return store_.append(stream, expected, events);
    }
    void read_stream(const StreamId& stream, StreamVersion from, EventSink sink)
    {
        store_.read_stream(stream, from, sink);
    }
    GlobalPosition read_log(GlobalPosition after, std::size_t at_most, EventSink sink)
    {
        return store_.read_log(after, at_most, sink);
    }
    GlobalPosition read_log(GlobalPosition after, std::size_t at_most, const EventFilter& filter, EventSink sink)
    {
        return store_.read_log(after, at_most, filter, sink);
    }
    bool read_snapshot(const StreamId& stream, SnapshotSink sink) { return store_.read_snapshot(stream, sink); }
    void write_snapshot(const StreamId& stream, const Snapshot& snapshot) { store_.write_snapshot(stream, snapshot); }
    LogId log_id() { return store_.log_id(); }
    GlobalPosition head() { return store_.head(); }
    std::optional<EventLocation> locate(EventId id) { return store_.locate(id); }
    bool wait_for_events(GlobalPosition after, Duration at_most, stop_token stop)
    {
        return store_.wait_for_events(after, at_most, std::move(stop));
    }
    /// @}

private:
    Store store_;
};

} // namespace escqrs::inline v0
