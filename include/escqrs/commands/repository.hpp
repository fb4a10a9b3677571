// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/codec/codec.hpp>
#include <escqrs/commands/command_info.hpp>
#include <escqrs/commands/commit_result.hpp>
#include <escqrs/commands/detail/command_commit.hpp>
#include <escqrs/commands/detail/encoded_batch.hpp>
#include <escqrs/commands/detail/repository_misuse.hpp>
#include <escqrs/commands/repository_options.hpp>
#include <escqrs/commands/snapshot.hpp>
#include <escqrs/core/error.hpp>
#include <escqrs/core/function_ref.hpp>
#include <escqrs/core/metadata.hpp>
#include <escqrs/core/object_pool.hpp>
#include <escqrs/domain/aggregate_root.hpp>
#include <escqrs/store/any_event_store.hpp>

#include <algorithm>
#include <cstddef>
#include <exception>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>

namespace escqrs::inline v0 {

/// Loads aggregates from their events and saves what they raised.
///
/// A command id in the metadata makes a change recognisable: event ids are derived from it, so a repeat writes nothing
/// and returns the first result, and `find_commit` returns what became of the command. One command id is one append to
/// one stream: anything else that is saved under it throws `CommandIdRefused`.
///
/// With a snapshot policy, loading begins at the aggregate's last snapshot (see `HasSnapshots`). A snapshot that cannot
/// be used, because it is damaged or of another version, costs a full replay and is written anew; it is never an error.
/// One that a newer program wrote stays.
/// @par Thread safety  any thread, if the store and the id generator are; an aggregate belongs to one thread
template <class Aggregate, EventStore Store = AnyEventStore, class EventCodec = CodecOf<Aggregate>>
class Repository {
    static_assert(detail::require_constructor<Aggregate>() && detail::require_short_category<Aggregate>());

public:
    using Id = typename Aggregate::Id; ///< of the aggregate

    /// @param store  must outlive the repository
    /// @throws InvalidOption; Error if the options ask for snapshots of an aggregate that has none
    explicit Repository(Store& store, RepositoryOptions options = {}) : store_{&store}, options_{std::move(options)}
    {
        detail::check(options_.retry);
        detail::check_given(options_.ids, "ids");
        detail::check_given(options_.clock, "clock");
        if (!HasSnapshots<Aggregate> && !options_.snapshots.is_never()) detail::throw_no_snapshots(Aggregate::category);
    }

    /// Refuses, by a `static_assert`, a store of another type than the repository's.
    template <EventStore Other>
        requires(!std::is_convertible_v<Other&, Store&>)
    explicit Repository(Other&, const RepositoryOptions& = {})
    {
        detail::refuse_other_store<Other>();
    }

    /// The stream of the aggregate with this id; it need not exist.
    static StreamId stream_of(const Id& id) { return StreamId{Aggregate::category, id.value()}; }

    /// The aggregate that its events make, or nothing if it has none.
    /// @throws HydrationError if an event cannot be decoded or applied
    /// @par Complexity  linear in the length of the stream after its snapshot
    std::optional<Aggregate> find(const Id& id) const { return load(stream_of(id), id); }

    /// Like `find`.
    /// @throws AggregateNotFound if it has no events
    Aggregate get(const Id& id) const
    {
        auto aggregate = find(id);
        if (!aggregate) throw AggregateNotFound{stream_of(id)};
        return *std::move(aggregate);
    }

    /// Stores the aggregate's uncommitted events, all or none. Without any, nothing is written.
    ///
    /// If it throws, the aggregate still holds them with their ids: saving it again is safe, even if the first attempt
    /// did reach the store.
    ///
    /// If the command was carried out before, nothing is written: the result is the first one, `repeated`, and the
    /// aggregate becomes what the log holds of it (an aggregate without move assignment keeps its events instead). It
    /// is a repeat if the aggregate has not seen the command's events, or was loaded with them and holds the same ones
    /// once more.
    /// @throws ConcurrencyError if another save came between; CodecError if an event is too large or could not be sent
    /// @throws CommandIdRefused if the command id has stored events, and this is no repeat: in another stream, or of a
    ///         change that the aggregate has seen
    CommitResult save(Aggregate& aggregate, const Metadata& metadata = no_metadata) const
    {
        return store(stream_of(aggregate.id()), aggregate, metadata, Caller::save);
    }

    /// Loads the aggregate, lets `decide(aggregate)` change it, and saves it; repeats all three after a conflict.
    ///
    /// If the command has stored its events in this stream before, `decide` is not called. A repeat that meets the
    /// first try gets the first result too, whatever `decide` decides.
    /// @param context  the command's `Metadata`; or a handler's `CommandContext`, beyond whose deadline no wait between
    ///                 tries goes
    /// @throws AggregateNotFound; ConcurrencyError when the retry policy is exhausted; what `decide` throws
    /// @throws CommandIdRefused if the command id has stored events in another stream
    /// @throws CommandCancelled if a stop is requested after a conflict
    template <class Decide, detail::ContextLike Context = Metadata>
    CommitResult execute(const Id& id, Decide&& decide, const Context& context = no_metadata) const
    {
        return execute_at(id, ExpectedVersion::any(), decide, false, detail::in_context(context));
    }

    /// The same for a command that depends on the version its sender saw, such as that of an If-Match. A repeated
    /// command gets its first result all the same.
    /// @throws PreconditionFailed (a ConcurrencyError), without a retry, if the aggregate is not at `expected`
    template <class Decide, detail::ContextLike Context = Metadata>
    CommitResult execute(const Id& id, ExpectedVersion expected, Decide&& decide,
                         const Context& context = no_metadata) const
    {
        return execute_at(id, expected, decide, false, detail::in_context(context));
    }

    /// Like `execute`; an aggregate that has no events yet begins as constructed.
    template <class Decide, detail::ContextLike Context = Metadata>
    CommitResult execute_or_begin(const Id& id, Decide&& decide, const Context& context = no_metadata) const
    {
        return execute_at(id, ExpectedVersion::any(), decide, true, detail::in_context(context));
    }
    /// As `execute` with a version; an aggregate that has no events is at version 0.
    template <class Decide, detail::ContextLike Context = Metadata>
    CommitResult execute_or_begin(const Id& id, ExpectedVersion expected, Decide&& decide,
                                  const Context& context = no_metadata) const
    {
        return execute_at(id, expected, decide, true, detail::in_context(context));
    }

    /// What the command with this id has stored before, if anything, in any stream.
    std::optional<CommitResult> find_commit(const CommandId& command) const
    {
        return detail::find_commit(*store_, command);
    }

    /// What the command with this id has stored in this aggregate's stream, if anything.
    /// @throws CommandIdRefused if it has stored events in another stream
    std::optional<CommitResult> find_commit(const Id& id, const CommandId& command) const
    {
        return detail::find_commit_in(*store_, stream_of(id), command);
    }

private:
    enum class Caller : bool { save, execute };

    std::optional<Aggregate> load(const StreamId& stream, const Id& id) const;
    std::optional<Aggregate> load_with_snapshot(const StreamId& stream, const Id& id) const;
    bool replay(const StreamId& stream, Aggregate& aggregate, StreamVersion snapshot) const;
    void keep_snapshot(const StreamId& stream, Aggregate& aggregate) const;
    /// Call it while an exception is being handled.
    void report(const StreamId& stream) const
    {
        if (options_.on_snapshot_failure) options_.on_snapshot_failure(stream, std::current_exception());
    }
    template <class Decide>
    CommitResult execute_at(const Id& id, ExpectedVersion expected, Decide& decide, bool may_begin,
                            const CommandContext& context) const
    {
        detail::require_reference<Decide, Aggregate>();
        return change(
            id, expected, [&](Aggregate& aggregate) { decide(aggregate); }, may_begin, context);
    }
    CommitResult change(const Id& id, ExpectedVersion expected, FunctionRef<void(Aggregate&)> decide, bool may_begin,
                        const CommandContext& context) const;
    CommitResult store(StreamId stream, Aggregate& aggregate, const Metadata& metadata, Caller caller) const;
    CommitResult stored(StreamId stream, Aggregate& aggregate, const AppendResult& result,
                        std::span<const NewEvent> events) const;
    CommitResult repeated(CommitResult first, Aggregate& aggregate, const CommandId& command,
                          std::span<const NewEvent> events, bool may_be_repeat, Caller caller) const;

    Store* store_;
    RepositoryOptions options_;
    [[no_unique_address]] EventCodec codec_;

    // Memory that one call needs and the next can use again, which saves a third of a command's allocations. A buffer
    // that has held more than `max_kept` bytes is not kept.
    static constexpr std::size_t max_kept = 64 * 1024;
    mutable detail::ObjectPool<typename EventCodec::Scratch> scratches_;
    mutable detail::ObjectPool<detail::EncodedBatch> batches_;
};

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
        use = detail::SnapshotUse::unreadable; // it belongs to a history that this stream does not have
    }
    aggregate.emplace(id);
    if (!replay(stream, *aggregate, StreamVersion{})) return std::nullopt;
    Access::since_snapshot(*aggregate).is_anothers_to_keep = use == detail::SnapshotUse::foreign;
    if (use == detail::SnapshotUse::unreadable) keep_snapshot(stream, *aggregate);
    return aggregate;
}

/// Applies what is stored after version `snapshot`, at which the aggregate already is.
/// @return false if the stream does not reach to that version, or is empty
template <class Aggregate, EventStore Store, class EventCodec>
bool Repository<Aggregate, Store, EventCodec>::replay(const StreamId& stream, Aggregate& aggregate,
                                                      StreamVersion snapshot) const
{
    if (!aggregate.uncommitted_events().empty()) detail::refuse_raise_in_constructor(Aggregate::category);
    typename detail::ObjectPool<typename EventCodec::Scratch>::Loan scratch{scratches_};
    StreamVersion version;
    GlobalPosition position;
    detail::HistorySize size;
    // Reads the snapshot's last event, too: it has the position, and shows that there is such an event at all.
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
        } catch (const std::bad_alloc&) {
            throw; // the event is not at fault
        } catch (const std::exception& cause) {
            std::throw_with_nested(HydrationError{recorded.stream, recorded.version, recorded.position, cause.what()});
        }
        return true;
    });
    if (version == StreamVersion{}) return false;
    Access::mark_committed(aggregate, version, position);
    Access::loaded(aggregate) = version;
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
        } catch (...) {
            report(stream); // the events are stored
        }
    }
}

template <class Aggregate, EventStore Store, class EventCodec>
CommitResult Repository<Aggregate, Store, EventCodec>::store(StreamId stream, Aggregate& aggregate,
                                                             const Metadata& metadata, Caller caller) const
{
    if (aggregate.uncommitted_events().empty()) return {std::move(stream), aggregate.version(), aggregate.position()};
    const CommandId& command = metadata.command_id;
    const bool may_be_repeat = detail::assign_ids(stream, aggregate, command, options_.ids);
    typename detail::ObjectPool<detail::EncodedBatch>::Loan batch{batches_};
    const auto events = (*batch).encode(aggregate, metadata, codec_, options_.max_event_size);
    if ((*batch).memory() > max_kept) batch.discard_afterwards();
    AppendResult result;
    try {
        result = store_->append(stream, ExpectedVersion::exactly(aggregate.version()), events);
    } catch (const DuplicateEventId&) {
        auto first = find_commit(command);
        if (!first) throw;
        return repeated(*std::move(first), aggregate, command, {}, may_be_repeat, caller);
    }
    if (!result.repeated) return stored(std::move(stream), aggregate, result, events);
    return repeated({std::move(stream), result.version, result.position, true}, aggregate, command, events,
                    may_be_repeat, caller);
}

/// Marks the events as committed, and keeps a snapshot if one is due. The log must hold the aggregate's state.
template <class Aggregate, EventStore Store, class EventCodec>
CommitResult Repository<Aggregate, Store, EventCodec>::stored(StreamId stream, Aggregate& aggregate,
                                                              const AppendResult& result,
                                                              std::span<const NewEvent> events) const
{
    Access::mark_committed(aggregate, result.version, result.position);
    if constexpr (HasSnapshots<Aggregate>) {
        detail::HistorySize& size = Access::since_snapshot(aggregate);
        size.events += events.size();
        for (const NewEvent& event : events) size.bytes += event.payload.size();
        if (!size.is_anothers_to_keep && options_.snapshots.is_due(size.events, size.bytes))
            keep_snapshot(stream, aggregate);
    }
    return {std::move(stream), result.version, result.position, result.repeated};
}

/// Answers a save whose command id, or whose event ids, the log already held.
/// @param events  the aggregate's, if the log holds one append with exactly their ids; else none
/// @param may_be_repeat  what `detail::assign_ids` returned
template <class Aggregate, EventStore Store, class EventCodec>
CommitResult Repository<Aggregate, Store, EventCodec>::repeated(CommitResult first, Aggregate& aggregate,
                                                                const CommandId& command,
                                                                std::span<const NewEvent> events, bool may_be_repeat,
                                                                Caller caller) const
{
    StreamId stream = stream_of(aggregate.id());
    const bool has_seen_it = first.version <= aggregate.version();
    const bool has_stored_it = has_seen_it && first.version > Access::loaded(aggregate);
    const bool is_same = !events.empty() && detail::is_stored_as(*store_, first, events);
    if (command.is_nil()) {
        if (has_seen_it || !is_same) throw DuplicateEventId{stream, events.front().id};
    } else if (first.stream != stream || !may_be_repeat || has_stored_it ||
               (caller == Caller::save && has_seen_it && !is_same)) {
        Access::uncommitted_ids(aggregate).clear(); // so that they can be saved under another command id
        throw CommandIdRefused{command, std::move(stream), std::move(first.stream), first.version};
    }
    if (caller == Caller::execute) return first; // and drops the aggregate

    if (is_same && aggregate.version().value() + events.size() == first.version.value()) {
        return stored(std::move(first.stream), aggregate, {first.version, first.position, true}, events);
    }
    if constexpr (std::is_move_assignable_v<Aggregate>) {
        aggregate = load(first.stream, aggregate.id()).value();
        Access::loaded(aggregate) = {}; // what it has an answer for counts as stored by it
    }
    return first;
}

/// What `execute` does, compiled once for all that is ever decided.
template <class Aggregate, EventStore Store, class EventCodec>
CommitResult Repository<Aggregate, Store, EventCodec>::change(const Id& id, ExpectedVersion expected,
                                                              FunctionRef<void(Aggregate&)> decide, bool may_begin,
                                                              const CommandContext& context) const
{
    StreamId stream = stream_of(id);
    const Metadata& metadata = context.metadata;
    const CommandId& command = metadata.command_id;
    if (metadata.new_command != command) {
        // A repeated command must not be decided again: its first effect may forbid it.
        if (auto first = detail::find_commit_in(*store_, stream, command)) return *std::move(first);
    }
    Backoff backoff{options_.retry.delay, options_.retry.max_delay};
    Duration delay{}; // the second attempt follows at once
    for (unsigned attempt = 1;; ++attempt) {
        auto aggregate = load(stream, id);
        if (!aggregate) {
            if (!may_begin) throw AggregateNotFound{std::move(stream)};
            aggregate.emplace(id);
        }
        // The same command may have been carried out elsewhere since the look-up. A decision that stores something
        // learns that from the store; one that does not may result from the command's own effect.
        try {
            if (!expected.is_met_by(aggregate->version()))
                throw PreconditionFailed{stream, expected, aggregate->version()};
            decide(*aggregate);
        } catch (...) {
            if (auto first = detail::find_commit_in(*store_, stream, command)) return *std::move(first);
            throw;
        }
        if (aggregate->uncommitted_events().empty()) {
            if (auto first = detail::find_commit_in(*store_, stream, command)) return *std::move(first);
        }
        try {
            return store(stream, *aggregate, metadata, Caller::execute);
        } catch (const ConcurrencyError& conflict) {
            if (!expected.is_met_by(conflict.actual())) throw PreconditionFailed{stream, expected, conflict.actual()};
            if (attempt >= options_.retry.attempts || !detail::has_time(context, delay, *options_.clock)) throw;
        }
        if (!sleep_for(*options_.clock, delay, context.stop)) throw CommandCancelled{stream};
        delay = backoff.next();
    }
}

} // namespace escqrs::inline v0
