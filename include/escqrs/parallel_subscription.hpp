// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/detail/shards.hpp>
#include <escqrs/event_store.hpp>
#include <escqrs/subscription.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <utility>

namespace escqrs {

/// Reads the log from a checkpoint onwards and hands every event to a handler, at least once, in several threads: the events
/// of one stream in order, one after the other; streams side by side.
///
/// The checkpoint never passes an event that has not been handled. An event that fails holds up its own stream, and others
/// that happen to share its thread; the rest goes on, as far as a few pages, and is shown again after a crash.
/// @par Thread safety  none; `run` it in a thread of its own, which reads and keeps the checkpoint. Handlers run in
/// other threads, several at once; `on_failure` in any of them, one call at a time
template <EventStore Store, Checkpoint Place>
class ParallelSubscription {
public:
    /// @param store, place  must outlive the subscription
    /// @param threads       that handle events, at least one
    ParallelSubscription(Store& store, Place& place, std::size_t threads, SubscriptionOptions options = {})
        : store_{&store}, place_{&place}, threads_{threads}, options_{std::move(options)}
    {
        if (!options_.on_failure) return;
        options_.on_failure = [tell = std::move(options_.on_failure),
                               mutex = std::make_shared<std::mutex>()](std::exception_ptr failure, Duration delay) {
            const std::scoped_lock lock{*mutex};
            tell(std::move(failure), delay);
        };
    }

    /// Handles what lies behind the checkpoint, until the end of the log or a stop request.
    /// @param handle  called as `handle(const RecordedEvent&)`, by several threads at once
    /// @return the position up to which all was handled
    /// @throws what store and checkpoint throw, and the first failure of `handle`, after which no event is begun
    template <class Handle>
    GlobalPosition catch_up(Handle&& handle, std::stop_token stop = {})
    {
        Reading reading{place_->load()};
        detail::Shards shards{threads_, options_, false, reading.position, std::ref(handle)};
        read(reading, shards, stop);
        shards.stop();
        save(reading, shards);
        shards.rethrow_failure();
        return reading.saved;
    }

    /// Catches up, then goes on with whatever is appended, until stopped: then each thread ends the event it is at. A failure
    /// is told to `on_failure`, and what failed is tried again after a delay.
    template <class Handle>
    void run(std::stop_token stop, Handle&& handle)
    {
        Reading reading{load(stop)};
        if (stop.stop_requested()) return;
        detail::Shards shards{threads_, options_, true, reading.position, std::ref(handle)};
        detail::follow_log(*store_, options_, stop, [&] { return read(reading, shards, stop); });
        shards.stop();
        try {
            save(reading, shards);
        } catch (const std::exception&) { // what was handled meanwhile is shown again
            if (options_.on_failure) options_.on_failure(std::current_exception(), Duration::zero());
        }
    }

private:
    static constexpr Duration look_again = std::chrono::milliseconds{10}; ///< while threads are busy

    struct Reading {
        explicit Reading(GlobalPosition start) : position{start}, saved{start} {}

        GlobalPosition position; ///< up to which events were handed over
        GlobalPosition saved;
    };

    GlobalPosition load(const std::stop_token& stop);
    GlobalPosition read(Reading& reading, detail::Shards& shards, const std::stop_token& stop);

    void save(Reading& reading, const detail::Shards& shards)
    {
        const GlobalPosition handled = shards.handled();
        if (handled == reading.saved) return;
        place_->save(handled);
        reading.saved = handled;
    }

    Store* store_;
    Place* place_;
    std::size_t threads_;
    SubscriptionOptions options_;
};

/// Where to begin; tried again until that is known.
template <EventStore Store, Checkpoint Place>
GlobalPosition ParallelSubscription<Store, Place>::load(const std::stop_token& stop)
{
    for (Duration delay = options_.first_retry_delay; !stop.stop_requested();
         delay = std::min(2 * delay, options_.max_retry_delay)) {
        try {
            return place_->load();
        } catch (const std::exception&) {
            if (options_.on_failure) options_.on_failure(std::current_exception(), delay);
            sleep_for(*options_.clock, delay, stop);
        }
    }
    return {};
}

/// Hands over what is behind `reading`, until the end of the log is reached and everything up to it has been handled.
template <EventStore Store, Checkpoint Place>
GlobalPosition ParallelSubscription<Store, Place>::read(Reading& reading, detail::Shards& shards,
                                                        const std::stop_token& stop)
{
    while (!stop.stop_requested()) {
        bool is_taken = true;
        const GlobalPosition before = reading.position;
        const auto hand_over = [&](const RecordedEvent& event) {
            is_taken = !detail::is_wanted(options_, event) || shards.push(event, stop);
            if (is_taken) reading.position = event.position;
            return is_taken;
        };
        const GlobalPosition reached = store_->read_log(before, options_.page_size, options_.filter, hand_over);
        if (!is_taken) break;
        reading.position = reached;
        shards.set_read(reached);
        const bool was_idle = shards.is_idle(); // before saving: what is done later is saved later
        save(reading, shards);
        if (reached != before) continue;
        if (was_idle || shards.has_failed()) break;
        shards.wait_until_idle(look_again, stop);
    }
    return reading.position;
}

} // namespace escqrs
