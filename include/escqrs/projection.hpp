// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/codec.hpp>
#include <escqrs/event_store.hpp>
#include <escqrs/subscription.hpp>

#include <concepts>
#include <stop_token>
#include <utility>

namespace escqrs {

/// A checkpoint that is saved in one transaction with the read model it belongs to.
///
/// `begin()` opens a transaction on the read model, which the transaction's destructor rolls back unless it was committed:
/// - `position()` how far the read model has come;
/// - `replay_until()` the furthest it had come before it was last rebuilt: events up to there were handled before;
/// - `commit(position)` makes what was written, and the position, durable together;
/// - `commit_restart()` sets the position to 0 and `replay_until()` to the furthest ever reached.
template <class Place>
concept TransactionalCheckpoint =
    requires(Place& place, decltype(place.begin())& transaction, GlobalPosition position) {
        { transaction.position() } -> std::same_as<GlobalPosition>;
        { transaction.replay_until() } -> std::same_as<GlobalPosition>;
        { transaction.commit(position) } -> std::same_as<void>;
        { transaction.commit_restart() } -> std::same_as<void>;
    };

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
/// Events of other types are passed over.
/// @par Thread safety  none; `run` it in a thread of its own
template <EventStore Store, TransactionalCheckpoint Place, class Handlers,
          class EventCodec = Codec<typename Handlers::Events>>
class Projection {
public:
    /// @param store, place, handlers  must outlive the projection
    Projection(Store& store, Place& place, Handlers& handlers, SubscriptionOptions options = {})
        : store_{&store}, place_{&place}, handlers_{&handlers}, options_{std::move(options)}
    {
    }

    /// Handles what lies behind the checkpoint, until the end of the log or a stop request.
    /// @return the position reached
    /// @throws HydrationError if an event cannot be decoded; what handlers and store throw; the page is rolled back
    GlobalPosition catch_up(std::stop_token stop = {})
    {
        GlobalPosition reached;
        while (apply_page(reached) && !stop.stop_requested()) {}
        return reached;
    }

    /// Catches up, then goes on with whatever is appended, until stopped; backs off after a failure.
    void run(std::stop_token stop)
    {
        detail::follow_log(*store_, options_, stop, [&] { return catch_up(stop); });
    }

    /// Empties the read model and starts again from the beginning of the log; handlers see `is_replay` for events that
    /// were handled before.
    void restart()
    {
        auto transaction = place_->begin();
        handlers_->clear();
        transaction.commit_restart();
    }

private:
    bool apply_page(GlobalPosition& reached)
    {
        auto transaction = place_->begin();
        const GlobalPosition from = transaction.position();
        const GlobalPosition replay_until = transaction.replay_until();
        reached = store_->read_log(from, options_.page_size, [&](const RecordedEvent& event) {
            apply(event, event.position <= replay_until);
            return true;
        });
        if (reached == from) return false;
        transaction.commit(reached);
        return true;
    }

    void apply(const RecordedEvent& event, bool is_replay)
    {
        if (!EventCodec::knows(event.type)) return;
        try {
            codec_.decode(encoded(event), scratch_, [&](const auto& decoded) {
                EventContext context = context_of(event);
                context.is_replay = is_replay;
                handlers_->handle(decoded, context);
            });
        } catch (const CodecError& cause) {
            std::throw_with_nested(HydrationError{event.stream, event.version, event.position, cause.what()});
        }
    }

    Store* store_;
    Place* place_;
    Handlers* handlers_;
    SubscriptionOptions options_;
    [[no_unique_address]] EventCodec codec_;
    typename EventCodec::Scratch scratch_;
};

} // namespace escqrs
