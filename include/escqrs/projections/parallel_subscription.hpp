// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/backoff.hpp>
#include <escqrs/core/bookmark.hpp>
#include <escqrs/core/stop_token.hpp>
#include <escqrs/projections/detail/shards.hpp>
#include <escqrs/projections/log_guard.hpp>
#include <escqrs/projections/subscription.hpp>
#include <escqrs/store/event_store.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>

namespace escqrs::inline v0 {

/// Reads the log from a checkpoint onwards and passes every event to a handler, at least once, in several threads: the
/// events of one stream in order, one after the other; streams in parallel.
///
/// The checkpoint never passes an event that has not been handled. An event that fails holds up its own stream, and
/// others that happen to share its thread; the rest continues, up to a few pages ahead, and is shown again after a
/// crash.
/// @par Thread safety  none; `run` it in its own thread, which reads and keeps the checkpoint. Handlers run in other
/// threads, several at once; `on_failure` in any of them, one call at a time
template <EventStore Store, Checkpoint CheckpointType>
class ParallelSubscription {
public:
    /// @param store, checkpoint  must outlive the subscription
    /// @param threads       that handle events, at least one
    /// @throws InvalidOption
    ParallelSubscription(Store& store, CheckpointType& checkpoint, std::size_t threads,
                         SubscriptionOptions options = {})
        : store_{&store}, checkpoint_{&checkpoint}, threads_{threads}, options_{detail::checked(std::move(options))},
          guard_{store, detail::description_of(checkpoint)}
    {
        detail::check_at_least(1, threads, "threads");
        if (!options_.on_failure) return;
        options_.on_failure = [tell = std::move(options_.on_failure),
                               mutex = std::make_shared<std::mutex>()](std::exception_ptr failure, Duration delay) {
            const std::scoped_lock lock{*mutex};
            tell(std::move(failure), delay);
        };
    }

    /// Handles the events after the checkpoint, until the end of the log or a stop request.
    /// @param handle  called as `handle(const RecordedEvent&)`, by several threads at once
    /// @return the position up to which all was handled
    /// @throws LogMismatch if the checkpoint was made from another log, or is beyond what this one holds
    /// @throws what store and checkpoint throw, and the first failure of `handle`, after which no event is begun
    template <class Handle>
    GlobalPosition catch_up(Handle&& handle, stop_token stop = {})
    {
        Reading reading{begin()};
        detail::Shards shards{threads_, options_, false, reading.mark, std::ref(handle)};
        read(reading, shards, stop);
        shards.stop();
        save(reading, shards);
        shards.rethrow_failure();
        return reading.saved.position;
    }

    /// Catches up, then continues with what is appended, until stopped: then each thread finishes its current event.
    /// Calls `on_failure` after a failure, and tries again after a delay what failed.
    /// @throws LogMismatch, after a call of `on_failure`: trying again is of no use
    template <class Handle>
    void run(stop_token stop, Handle&& handle)
    {
        Reading reading{begin(stop)};
        if (stop.stop_requested()) return;
        detail::Shards shards{threads_, options_, true, reading.mark, std::ref(handle)};
        detail::follow_log(*store_, guard_, options_, stop, [&] { return read(reading, shards, stop); });
        shards.stop();
        try {
            save(reading, shards);
        } catch (...) { // what was handled meanwhile is shown again
            if (options_.on_failure) options_.on_failure(std::current_exception(), Duration::zero());
        }
    }

private:
    static constexpr Duration look_again = std::chrono::milliseconds{10}; ///< while threads are busy

    struct Reading {
        explicit Reading(const Bookmark& start) : mark{start}, saved{start} {}

        Bookmark mark; ///< up to which events were handed over
        Bookmark saved;
    };

    Bookmark begin();
    Bookmark begin(const stop_token& stop);
    GlobalPosition read(Reading& reading, detail::Shards& shards, const stop_token& stop);

    void save(Reading& reading, const detail::Shards& shards)
    {
        const Bookmark handled = shards.handled();
        if (handled.position == reading.saved.position) return;
        detail::save(*checkpoint_, handled);
        reading.saved = handled;
    }

    Store* store_;
    CheckpointType* checkpoint_;
    std::size_t threads_;
    SubscriptionOptions options_;
    detail::LogGuard<Store> guard_;
};

/// Where to begin.
template <EventStore Store, Checkpoint CheckpointType>
Bookmark ParallelSubscription<Store, CheckpointType>::begin()
{
    const Bookmark saved = guard_.load(*checkpoint_);
    const Bookmark mark = guard_.begin(saved);
    detail::adopt(*checkpoint_, saved, mark);
    return mark;
}

/// The same, tried again until that is known.
template <EventStore Store, Checkpoint CheckpointType>
Bookmark ParallelSubscription<Store, CheckpointType>::begin(const stop_token& stop)
{
    Backoff backoff{options_.first_retry_delay, options_.max_retry_delay};
    while (!stop.stop_requested()) {
        try {
            return begin();
        } catch (const LogMismatch&) {
            if (options_.on_failure) options_.on_failure(std::current_exception(), Duration::zero());
            throw;
        } catch (...) {
            const Duration delay = backoff.next();
            if (options_.on_failure) options_.on_failure(std::current_exception(), delay);
            sleep_for(*options_.clock, delay, stop);
        }
    }
    return {};
}

/// Passes on what comes after `reading`, until the end of the log is reached and everything up to it has been handled.
template <EventStore Store, Checkpoint CheckpointType>
GlobalPosition ParallelSubscription<Store, CheckpointType>::read(Reading& reading, detail::Shards& shards,
                                                                 const stop_token& stop)
{
    (void)guard_.begin(reading.mark);
    for (bool is_first = true; !stop.stop_requested(); is_first = false) {
        bool is_taken = true;
        const Bookmark before = reading.mark;
        const auto hand_over = [&](const RecordedEvent& event) {
            guard_.note(event);
            is_taken = !detail::is_wanted(options_, event) || shards.push(event, before.log, stop);
            if (!is_taken) return false;
            reading.mark = {event.position, before.log, event.id};
            return true;
        };
        const auto reached = store_->read_log(before.position, options_.page_size, options_.filter, hand_over);
        if (!is_taken) break;
        if (reached != before.position) reading.mark = guard_.advance(reached);
        else if (is_first) guard_.check(before);
        shards.set_read(reading.mark);
        const bool was_idle = shards.is_idle(); // before saving: what is done later is saved later
        save(reading, shards);
        if (reached != before.position) continue;
        if (was_idle || shards.has_failed()) break;
        shards.wait_until_idle(look_again, stop);
    }
    guard_.settle();
    return reading.mark.position;
}

} // namespace escqrs::inline v0
