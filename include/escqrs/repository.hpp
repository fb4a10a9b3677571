// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/aggregate_root.hpp>
#include <escqrs/codec.hpp>
#include <escqrs/commit_result.hpp>
#include <escqrs/detail/encoded_batch.hpp>
#include <escqrs/detail/spares.hpp>
#include <escqrs/error.hpp>
#include <escqrs/event_store.hpp>
#include <escqrs/id_generator.hpp>
#include <escqrs/metadata.hpp>
#include <escqrs/retry_policy.hpp>
#include <escqrs/snapshot.hpp>

#include <algorithm>
#include <cstddef>
#include <exception>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace escqrs {

struct RepositoryOptions {
    RetryPolicy retry;
    IdGenerator ids = time_ordered_uuid;
    Clock* clock = &system_clock();
    SnapshotPolicy snapshots = SnapshotPolicy::never();
    /// Told when a snapshot could not be read or written by the store; what was asked for is done all the same.
    std::function<void(const StreamId&, std::exception_ptr)> on_snapshot_failure = {};
};

/// Loads aggregates from their events and saves what they raised.
///
/// A command id in the metadata makes a change recognisable: event ids are derived from it, so a repeated save writes
/// nothing and returns the first result, and `find_commit` tells what became of the command.
///
/// With a snapshot policy, loading begins at the aggregate's last snapshot (see `HasSnapshots`). A snapshot that cannot be
/// used, because it is damaged or of another version, costs a full replay and is written anew; it is never an error. One that
/// a newer program wrote is left to that.
/// @par Thread safety  any thread, if the store and the id generator are; an aggregate belongs to one thread
template <class Aggregate, EventStore Store = AnyEventStore, class EventCodec = Codec<typename Aggregate::EventTypes>>
class Repository {
public:
    using Id = typename Aggregate::Id;

    /// @param store  must outlive the repository
    /// @throws Error if the options ask for snapshots of an aggregate that has none
    explicit Repository(Store& store, RepositoryOptions options = {}) : store_{&store}, options_{std::move(options)}
    {
        if (!HasSnapshots<Aggregate> && !options_.snapshots.is_never()) detail::throw_no_snapshots(Aggregate::category);
    }

    static StreamId stream_of(const Id& id) { return StreamId{Aggregate::category, id.value()}; }

    /// The aggregate as its events tell it, or nothing if it has none.
    /// @throws HydrationError if an event cannot be decoded or applied
    /// @par Complexity  linear in the length of the stream behind its snapshot
    std::optional<Aggregate> find(const Id& id) const;

    /// Like `find`.
    /// @throws AggregateNotFound if it has no events
    Aggregate get(const Id& id) const;

    /// Stores the aggregate's uncommitted events, all or none. Without any, nothing is written.
    ///
    /// If it throws, the aggregate still holds them with the ids they were given: saving it again is safe, even if the
    /// first attempt did reach the store.
    /// @throws ConcurrencyError if somebody else has stored events since the aggregate was loaded
    CommitResult save(Aggregate& aggregate, const Metadata& metadata = no_metadata) const;

    /// Loads the aggregate, lets `decide(aggregate)` change it, and saves it; does all three again after a conflict.
    /// @throws AggregateNotFound; ConcurrencyError when the retry policy is exhausted; what `decide` throws
    template <class Decide>
    CommitResult execute(const Id& id, Decide&& decide, const Metadata& metadata = no_metadata) const
    {
        return execute_at(stream_of(id), id, decide, false, metadata);
    }

    /// Like `execute`; an aggregate that has no events yet begins as its constructor makes it.
    template <class Decide>
    CommitResult execute_or_begin(const Id& id, Decide&& decide, const Metadata& metadata = no_metadata) const
    {
        return execute_at(stream_of(id), id, decide, true, metadata);
    }

    /// What the command with this id has stored before, if anything.
    std::optional<CommitResult> find_commit(const CommandId& command) const;

private:
    std::optional<Aggregate> load(const StreamId& stream, const Id& id) const;
    std::optional<Aggregate> load_with_snapshot(const StreamId& stream, const Id& id) const;
    bool replay(const StreamId& stream, Aggregate& aggregate, StreamVersion snapshot) const;
    void keep_snapshot(const StreamId& stream, Aggregate& aggregate) const;
    void report(const StreamId& stream) const;
    template <class Decide>
    CommitResult execute_at(StreamId stream, const Id& id, Decide& decide, bool may_begin,
                            const Metadata& metadata) const;
    CommitResult store(StreamId stream, Aggregate& aggregate, const Metadata& metadata) const;
    void assign_ids(Aggregate& aggregate, const Metadata& metadata) const;
    static EventId event_id_of(const CommandId& command, std::size_t index);

    Store* store_;
    RepositoryOptions options_;
    [[no_unique_address]] EventCodec codec_;

    // Memory that one call needs and the next can use again: a command takes a third of its allocations less. What has held
    // more than `max_kept` bytes is not kept.
    static constexpr std::size_t max_kept = 64 * 1024;
    mutable detail::Spares<typename EventCodec::Scratch> scratches_;
    mutable detail::Spares<detail::EncodedBatch> batches_;
};

template <class Aggregate, EventStore Store, class EventCodec>
std::optional<Aggregate> Repository<Aggregate, Store, EventCodec>::find(const Id& id) const
{
    return load(stream_of(id), id);
}

template <class Aggregate, EventStore Store, class EventCodec>
std::optional<Aggregate> Repository<Aggregate, Store, EventCodec>::load(const StreamId& stream, const Id& id) const
{
    if constexpr (HasSnapshots<Aggregate>) {
        if (!options_.snapshots.is_never()) return load_with_snapshot(stream, id);
    }
    std::optional<Aggregate> aggregate{std::in_place, id};
    if (!replay(stream, *aggregate, StreamVersion{})) aggregate.reset();
    return aggregate;
}

template <class Aggregate, EventStore Store, class EventCodec>
std::optional<Aggregate> Repository<Aggregate, Store, EventCodec>::load_with_snapshot(const StreamId& stream,
                                                                                      const Id& id) const
{
    std::optional<Aggregate> aggregate{std::in_place, id};
    std::optional<detail::SnapshotUse> use; // nothing: there is none
    StreamVersion version;
    try {
        store_->read_snapshot(stream, [&](const Snapshot& snapshot) {
            use = detail::decode_snapshot(snapshot, *aggregate);
            version = snapshot.version;
        });
    } catch (const StoreError&) {
        report(stream);
        use = detail::SnapshotUse::unreadable;
    }
    if (use == detail::SnapshotUse::readable) {
        if (replay(stream, *aggregate, version)) return aggregate;
        use = detail::SnapshotUse::unreadable; // it is of a history that this stream does not have
    }
    aggregate.emplace(id);
    if (!replay(stream, *aggregate, StreamVersion{})) return std::nullopt;
    if (use == detail::SnapshotUse::unreadable) keep_snapshot(stream, *aggregate);
    return aggregate;
}

/// Applies what is stored behind version `snapshot`, at which the aggregate already is.
/// @return false if the stream does not reach to that version, or is empty
template <class Aggregate, EventStore Store, class EventCodec>
bool Repository<Aggregate, Store, EventCodec>::replay(const StreamId& stream, Aggregate& aggregate,
                                                      StreamVersion snapshot) const
{
    typename detail::Spares<typename EventCodec::Scratch>::Loan scratch{scratches_};
    StreamVersion version;
    GlobalPosition position;
    detail::HistorySize size;
    // The snapshot's last event is looked at too: it tells the position, and that there is such an event at all.
    const StreamVersion from{std::max<std::uint64_t>(snapshot.value(), 1)};
    store_->read_stream(stream, from, [&](const RecordedEvent& recorded) {
        version = recorded.version;
        position = recorded.position;
        if (version == snapshot) return true;
        ++size.events;
        size.bytes += recorded.payload.size();
        if (recorded.payload.size() > max_kept) scratch.discard_afterwards();
        try {
            codec_.decode(encoded(recorded), *scratch, [&](const auto& event) { Access::replay(aggregate, event); });
        } catch (const std::exception& cause) {
            std::throw_with_nested(HydrationError{recorded.stream, recorded.version, recorded.position, cause.what()});
        }
        return true;
    });
    if (version == StreamVersion{}) return false;
    Access::mark_committed(aggregate, version, position);
    Access::since_snapshot(aggregate) = size;
    return true;
}

template <class Aggregate, EventStore Store, class EventCodec>
void Repository<Aggregate, Store, EventCodec>::keep_snapshot(const StreamId& stream, Aggregate& aggregate) const
{
    if constexpr (HasSnapshots<Aggregate>) {
        try {
            const auto bytes = detail::encode_snapshot(aggregate);
            store_->write_snapshot(
                stream, {aggregate.version(), Aggregate::snapshot_version, archive::Binary::content_type, bytes});
            Access::since_snapshot(aggregate) = {};
        } catch (const std::exception&) {
            report(stream); // what it stands for is stored
        }
    }
}

/// To be called while an exception is being handled.
template <class Aggregate, EventStore Store, class EventCodec>
void Repository<Aggregate, Store, EventCodec>::report(const StreamId& stream) const
{
    if (options_.on_snapshot_failure) options_.on_snapshot_failure(stream, std::current_exception());
}

template <class Aggregate, EventStore Store, class EventCodec>
Aggregate Repository<Aggregate, Store, EventCodec>::get(const Id& id) const
{
    auto aggregate = find(id);
    if (!aggregate) throw AggregateNotFound{stream_of(id)};
    return *std::move(aggregate);
}

template <class Aggregate, EventStore Store, class EventCodec>
CommitResult Repository<Aggregate, Store, EventCodec>::save(Aggregate& aggregate, const Metadata& metadata) const
{
    return store(stream_of(aggregate.id()), aggregate, metadata);
}

template <class Aggregate, EventStore Store, class EventCodec>
CommitResult Repository<Aggregate, Store, EventCodec>::store(StreamId stream, Aggregate& aggregate,
                                                             const Metadata& metadata) const
{
    if (!aggregate.uncommitted_events().empty()) {
        assign_ids(aggregate, metadata);
        typename detail::Spares<detail::EncodedBatch>::Loan batch{batches_};
        const auto events = (*batch).encode(aggregate, metadata, codec_);
        if ((*batch).memory() > max_kept) batch.discard_afterwards();
        const auto result = store_->append(stream, ExpectedVersion::exactly(aggregate.version()), events);
        Access::mark_committed(aggregate, result.version, result.position);
        if constexpr (HasSnapshots<Aggregate>) {
            detail::HistorySize& size = Access::since_snapshot(aggregate);
            size.events += events.size();
            for (const NewEvent& event : events) size.bytes += event.payload.size();
            if (options_.snapshots.is_due(size.events, size.bytes)) keep_snapshot(stream, aggregate);
        }
    }
    return {std::move(stream), aggregate.version(), aggregate.position()};
}

template <class Aggregate, EventStore Store, class EventCodec>
template <class Decide>
CommitResult Repository<Aggregate, Store, EventCodec>::execute_at(StreamId stream, const Id& id, Decide& decide,
                                                                  bool may_begin, const Metadata& metadata) const
{
    Duration delay{};
    for (unsigned attempt = 1;; ++attempt) {
        // A repeated command must not be decided again: its own first effect may forbid it.
        if (auto before = find_commit(metadata.command_id)) return *std::move(before);
        auto aggregate = load(stream, id);
        if (!aggregate) {
            if (!may_begin) throw AggregateNotFound{std::move(stream)};
            aggregate.emplace(id);
        }
        try {
            decide(*aggregate);
        } catch (...) {
            // The same command may have been carried out elsewhere in the meantime, and forbid itself by that.
            if (auto meanwhile = find_commit(metadata.command_id)) return *std::move(meanwhile);
            throw;
        }
        try {
            return store(stream, *aggregate, metadata);
        } catch (const ConcurrencyError&) {
            if (attempt >= options_.retry.attempts) throw;
        }
        sleep_for(*options_.clock, delay, {});
        delay = std::min(std::max(2 * delay, options_.retry.delay), options_.retry.max_delay);
    }
}

template <class Aggregate, EventStore Store, class EventCodec>
std::optional<CommitResult> Repository<Aggregate, Store, EventCodec>::find_commit(const CommandId& command) const
{
    std::optional<CommitResult> found;
    if (command.is_nil()) return found;
    for (std::size_t index = 0;; ++index) {
        auto location = store_->locate(event_id_of(command, index));
        if (!location) return found;
        found = CommitResult{std::move(location->stream), location->version, location->position};
    }
}

template <class Aggregate, EventStore Store, class EventCodec>
void Repository<Aggregate, Store, EventCodec>::assign_ids(Aggregate& aggregate, const Metadata& metadata) const
{
    auto& ids = Access::uncommitted_ids(aggregate);
    const std::size_t count = aggregate.uncommitted_events().size();
    ids.reserve(count);
    while (ids.size() < count) {
        ids.push_back(metadata.command_id.is_nil() ? EventId{options_.ids()}
                                                   : event_id_of(metadata.command_id, ids.size()));
    }
}

template <class Aggregate, EventStore Store, class EventCodec>
EventId Repository<Aggregate, Store, EventCodec>::event_id_of(const CommandId& command, std::size_t index)
{
    return EventId{name_based_uuid(command.value(), std::to_string(index))};
}

} // namespace escqrs
