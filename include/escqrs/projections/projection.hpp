// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/codec/codec.hpp>
#include <escqrs/core/bookmark.hpp>
#include <escqrs/core/stop_token.hpp>
#include <escqrs/projections/checkpoint.hpp>
#include <escqrs/projections/detail/known_events.hpp>
#include <escqrs/projections/detail/parking.hpp>
#include <escqrs/projections/detail/progress.hpp>
#include <escqrs/projections/detail/takeover.hpp>
#include <escqrs/projections/log_guard.hpp>
#include <escqrs/projections/parking_lot.hpp>
#include <escqrs/projections/subscription.hpp>
#include <escqrs/store/event_store.hpp>

#include <algorithm>
#include <concepts>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

namespace escqrs::inline v0 {

/// Builds a read model from the log, each event exactly once: what the handlers write and the checkpoint are one
/// transaction.
///
/// `Handlers` lists the events it takes and handles each:
/// ```
/// struct AttendeeCount {
///     using Events = escqrs::EventList<AttendeeRegistered, AttendeeUnregistered>;
///     void handle(const AttendeeRegistered&, const escqrs::EventContext&);
///     void handle(const AttendeeUnregistered&, const escqrs::EventContext&);
///     void clear(); // empties the read model, for a rebuild
/// };
/// ```
/// `Events` may be an `Evolution`; handlers of some of its events name a `Codec` instead (see `CodecOf`).
///
/// Unless the options filter by type, the projection asks the store for these types only, and skips events of others.
/// With `using KnownEvents = EventList<...>` the handlers name all the types that can be in what they read (filter by
/// category, then): an event of any other type was written by newer code, and so was one of a higher schema version in
/// any case. `SubscriptionOptions::unknown_events` says what happens to those.
///
/// An event that cannot be handled stops the projection before it, unless there is a parking lot: then it is parked,
/// and so are all later events of its stream, while other streams continue; see `replay`.
/// @par Thread safety  none, except for `position` and `wait_for`; `run` it in its own thread
template <EventStore Store, TransactionalCheckpoint CheckpointType, class Handlers,
          class EventCodec = CodecOf<Handlers>, class Parking = NoParkingLot>
class Projection {
public:
    /// @param store, checkpoint, handlers  must outlive the projection
    /// @throws InvalidOption
    Projection(Store& store, CheckpointType& checkpoint, Handlers& handlers, SubscriptionOptions options = {})
        requires std::same_as<Parking, NoParkingLot>
        : Projection{store, checkpoint, nullptr, handlers, std::move(options)}
    {
    }

    /// @param store, checkpoint, parked, handlers  must outlive the projection
    Projection(Store& store, CheckpointType& checkpoint, Parking& parked, Handlers& handlers,
               SubscriptionOptions options = {})
        requires ParkingLot<Parking>
        : Projection{store, checkpoint, &parked, handlers, std::move(options)}
    {
    }

    /// Handles the events after the checkpoint, until the end of the log or a stop request.
    /// @return the position reached
    /// @throws HydrationError if an event cannot be decoded, or was written by newer code; what handlers and store
    ///         throw; ReadModelSuperseded; LogMismatch if the read model is of another log, or beyond this one; the
    ///         page is rolled back
    GlobalPosition catch_up(stop_token stop = {})
    {
        GlobalPosition reached;
        for (bool is_first = true; apply_page(reached, is_first, stop) && !stop.stop_requested(); is_first = false) {}
        return reached;
    }

    /// Catches up, then continues with what is appended, until stopped; backs off after a failure.
    /// @throws ReadModelSuperseded when a newer version of the read model has taken this one's place
    /// @throws LogMismatch, after a call of `on_failure`: trying again is of no use
    void run(stop_token stop)
    {
        detail::follow_log(*store_, guard_, options_, stop, [&] { return catch_up(stop); });
    }

    /// Empties the read model and starts again from the beginning of the log; handlers see `is_replay` for events that
    /// were handled before. Parked streams are tried again with the others.
    ///
    /// Works also with another log, or with one that has lost its end: only events that this log still holds can count
    /// as handled before.
    void restart();

    /// The streams that are parked, in order of their names.
    std::vector<ParkedStream> parked()
        requires ParkingLot<Parking>;

    /// Handles the parked events of a stream again, in order, in transactions of a page each. What could be handled is
    /// no longer parked; from the next failure on, the rest still is. A read model that is built next to another one
    /// does this only once it is live. Another `Projection` over the same checkpoint may be running, in any process; on
    /// this object call it from the thread that runs it. `is_replay` is false for events that were never handled.
    /// @return whether nothing of the stream is parked now
    /// @throws LogMismatch as `catch_up`
    bool replay(const StreamId& stream)
        requires ParkingLot<Parking>;

    /// The last position that this object committed or found committed; 0 at first.
    GlobalPosition position() const { return progress_.position(); }

    /// Waits until this object has committed a position at or beyond `position`; see the free function.
    bool wait_for(GlobalPosition position, Timestamp deadline, stop_token stop = {}) const
    {
        return progress_.wait_for(position, deadline, std::move(stop), *options_.clock);
    }

private:
    static constexpr GlobalPosition no_limit{~std::uint64_t{0}};
    using Handled = typename detail::ListOf<typename detail::EventsOf<Handlers>::Type>::Type;

    Projection(Store& store, CheckpointType& checkpoint, Parking* parking, Handlers& handlers,
               SubscriptionOptions options)
        : store_{&store}, checkpoint_{&checkpoint}, parking_{parking}, handlers_{&handlers},
          options_{detail::checked(std::move(options))}, guard_{store, detail::description_of(checkpoint)}
    {
        if (options_.filter.types.empty()) options_.filter.types = detail::types_to_read<EventCodec, Handlers>();
    }

    template <class Transaction>
    static GlobalPosition limit_of(const Transaction& transaction)
    {
        if constexpr (requires { transaction.limit(); }) return transaction.limit();
        else return no_limit;
    }

    /// Decodes an event and calls its handler.
    auto handle()
    {
        return [this](const RecordedEvent& event, bool is_replay) { apply(event, is_replay); };
    }

    bool apply_page(GlobalPosition& reached, bool is_first, const stop_token& stop);
    void apply(const RecordedEvent& event, bool is_replay);
    bool replay_page(const StreamId& stream);
    bool is_in(const RecordedEvent& event) const;

    Store* store_;
    CheckpointType* checkpoint_;
    Parking* parking_;
    Handlers* handlers_;
    SubscriptionOptions options_;
    [[no_unique_address]] EventCodec codec_;
    typename EventCodec::Scratch scratch_;
    detail::Progress progress_;
    detail::LogGuard<Store> guard_;
};

/// Deduces the types, for a projection that parks nothing.
template <class Store, class CheckpointType, class Handlers>
Projection(Store&, CheckpointType&, Handlers&, SubscriptionOptions = {}) -> Projection<Store, CheckpointType, Handlers>;
/// Deduces the types, for a projection that parks streams.
template <class Store, class CheckpointType, ParkingLot Parking, class Handlers>
Projection(Store&, CheckpointType&, Parking&, Handlers&, SubscriptionOptions = {})
    -> Projection<Store, CheckpointType, Handlers, CodecOf<Handlers>, Parking>;

/// Waits until a projection that runs in this process has committed a position at or beyond `position`: then a query of
/// its read model sees that event, unless it was parked. In another process, wait on its checkpoint.
/// @param deadline  by the projection's clock
/// @return false if that did not happen by the deadline, or `stop` was requested first
/// @par Thread safety  may be called from any thread
template <class Store, class CheckpointType, class Handlers, class EventCodec, class Parking>
bool wait_for(const Projection<Store, CheckpointType, Handlers, EventCodec, Parking>& projection,
              GlobalPosition position, Timestamp deadline, stop_token stop = {})
{
    return projection.wait_for(position, deadline, std::move(stop));
}

template <EventStore Store, TransactionalCheckpoint CheckpointType, class Handlers, class EventCodec, class Parking>
bool Projection<Store, CheckpointType, Handlers, EventCodec, Parking>::apply_page(GlobalPosition& reached,
                                                                                  bool is_first, const stop_token& stop)
{
    auto transaction = checkpoint_->begin();
    const GlobalPosition from = transaction.position();
    const Bookmark saved = guard_.load(transaction);
    const Bookmark mark = guard_.begin(saved);
    const GlobalPosition replay_until = detail::replay_until(transaction);
    const GlobalPosition limit = limit_of(transaction);
    const bool is_beside = limit != no_limit;
    if constexpr (requires { transaction.live(); }) {
        if (is_beside && is_first) guard_.check_live(transaction.live());
    }
    detail::PageHandling<Parking> page{parking_, is_beside};
    progress_.set(from);

    reached = store_->read_log(from, options_.page_size, options_.filter, [&](const RecordedEvent& event) {
        if (event.position > limit) return false;
        guard_.note(event);
        const bool is_new = !detail::was_taken_over(transaction, event);
        if (is_new && detail::is_wanted(options_, event)) page.show(event, event.position <= replay_until, handle());
        return !stop.stop_requested();
    });
    reached = std::max(from, std::min(reached, limit));
    if (reached == from && from != limit) {
        if (is_first) guard_.check(mark);
        if (saved.log.is_nil() && from != GlobalPosition{}) detail::commit(transaction, mark);
        guard_.settle();
        return false;
    }
    detail::commit(transaction, reached == from ? mark : guard_.advance(reached));
    guard_.settle();
    progress_.set(reached);
    return true;
}

template <EventStore Store, TransactionalCheckpoint CheckpointType, class Handlers, class EventCodec, class Parking>
void Projection<Store, CheckpointType, Handlers, EventCodec, Parking>::apply(const RecordedEvent& event, bool is_replay)
{
    bool is_handled_now = false;
    try {
        if (!EventCodec::knows(event.type)) {
            if (detail::is_known_to<Handlers>(event.type)) return;
            throw UnknownEventType{std::string{event.type}};
        }
        EventContext context = context_of(event);
        context.is_replay = is_replay;
        codec_.decode(encoded(event), scratch_, [&](const auto& decoded) {
            using Event = std::remove_cvref_t<decltype(decoded)>;
            if constexpr (Handled::template contains<Event>) {
                constexpr bool is_handled = requires { handlers_->handle(decoded, context); };
                static_assert(is_handled, "escqrs: these handlers list an event for which they have no "
                                          "handle(const E&, const escqrs::EventContext&)");
                if constexpr (is_handled) {
                    is_handled_now = true;
                    handlers_->handle(decoded, context);
                    is_handled_now = false;
                }
            }
            ++context.part;
        });
    } catch (const CodecError& cause) {
        if (is_handled_now) throw; // the handler's own
        const bool skips = options_.unknown_events == UnknownEvents::skip;
        if (!skips || !detail::is_of_newer_code(cause)) {
            std::throw_with_nested(HydrationError{event.stream, event.version, event.position, cause.what()});
        }
        if (options_.on_skipped) options_.on_skipped(event, cause);
    }
}

template <EventStore Store, TransactionalCheckpoint CheckpointType, class Handlers, class EventCodec, class Parking>
void Projection<Store, CheckpointType, Handlers, EventCodec, Parking>::restart()
{
    auto transaction = checkpoint_->begin();
    handlers_->clear();
    if constexpr (ParkingLot<Parking>) detail::unpark_all(*parking_);
    const auto limit = guard_.handled_limit(guard_.load(transaction));
    if constexpr (requires { transaction.commit_restart(limit); }) transaction.commit_restart(limit);
    else transaction.commit_restart();
    progress_.set(GlobalPosition{});
}

template <EventStore Store, TransactionalCheckpoint CheckpointType, class Handlers, class EventCodec, class Parking>
std::vector<ParkedStream> Projection<Store, CheckpointType, Handlers, EventCodec, Parking>::parked()
    requires ParkingLot<Parking>
{
    auto all = parking_->all();
    std::erase_if(all, [](const ParkedStream& parked) { return !parked.is_parked(); });
    return all;
}

template <EventStore Store, TransactionalCheckpoint CheckpointType, class Handlers, class EventCodec, class Parking>
bool Projection<Store, CheckpointType, Handlers, EventCodec, Parking>::replay(const StreamId& stream)
    requires ParkingLot<Parking>
{
    while (replay_page(stream)) {}
    const auto left = parking_->find(stream);
    return !left || !left->is_parked();
}

/// @return whether there is more to try
template <EventStore Store, TransactionalCheckpoint CheckpointType, class Handlers, class EventCodec, class Parking>
bool Projection<Store, CheckpointType, Handlers, EventCodec, Parking>::replay_page(const StreamId& stream)
{
    auto transaction = checkpoint_->begin();
    auto parked = parking_->find(stream);
    if (!parked || !parked->is_parked() || limit_of(transaction) != no_limit) return false;
    guard_.check(guard_.begin(guard_.load(transaction)));
    guard_.settle();
    const GlobalPosition replay_until = transaction.replay_until();
    const GlobalPosition reached = detail::reached_in(transaction, stream);
    const StreamVersion from = parked->version;
    detail::ParkedReplay page{*parking_, *std::move(parked), options_.page_size};
    // All that was read since the stream was parked is parked, whatever the handlers took then.
    store_->read_stream(stream, from, [&](const RecordedEvent& event) {
        if (event.position > reached) return false;
        return !is_in(event) || page.show(event, event.position <= replay_until, handle());
    });
    page.save(transaction.position() < replay_until);
    detail::commit(transaction, guard_.load(transaction));
    return page.is_page_full();
}

template <EventStore Store, TransactionalCheckpoint CheckpointType, class Handlers, class EventCodec, class Parking>
bool Projection<Store, CheckpointType, Handlers, EventCodec, Parking>::is_in(const RecordedEvent& event) const
{
    return options_.filter.matches(event.stream.category(), event.type) && detail::is_wanted(options_, event);
}

} // namespace escqrs::inline v0
