// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/clock.hpp>
#include <escqrs/event_store.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <exception>
#include <functional>
#include <stop_token>
#include <utility>

namespace escqrs {

/// Remembers how far a reader of the log has come.
template <class Place>
concept Checkpoint = requires(Place& place, GlobalPosition position) {
    { place.load() } -> std::same_as<GlobalPosition>;
    { place.save(position) } -> std::same_as<void>;
};

/// How a reader that runs until it is stopped behaves.
struct SubscriptionOptions {
    std::size_t page_size = 500;
    Duration max_wait = std::chrono::seconds{1};                ///< longest sleep at the end of the log
    Duration first_retry_delay = std::chrono::milliseconds{20}; ///< after a failure; doubled each time
    Duration max_retry_delay = std::chrono::seconds{10};
    std::function<void(std::exception_ptr, Duration)> on_failure; ///< told of each failure and the delay that follows
    Clock* clock = &system_clock();
};

namespace detail {

/// Runs `catch_up` again and again until stopped: sleeps at the end of the log, backs off after a failure.
template <EventStore Store, class CatchUp>
void follow_log(Store& store, const SubscriptionOptions& options, std::stop_token stop, CatchUp catch_up)
{
    Duration delay = options.first_retry_delay;
    while (!stop.stop_requested()) {
        try {
            const GlobalPosition reached = catch_up();
            delay = options.first_retry_delay;
            store.wait_for_events(reached, options.max_wait, stop);
        } catch (const std::exception&) {
            if (options.on_failure) options.on_failure(std::current_exception(), delay);
            sleep_for(*options.clock, delay, stop);
            delay = std::min(2 * delay, options.max_retry_delay);
        }
    }
}

} // namespace detail

/// Reads the log from a checkpoint onwards and hands every event to a handler, at least once and in order.
///
/// The checkpoint is saved after each page: a crash in between shows that page's events again.
/// @par Thread safety  none; `run` it in a thread of its own
template <EventStore Store, Checkpoint Place>
class Subscription {
public:
    /// @param store, place  must outlive the subscription
    Subscription(Store& store, Place& place, SubscriptionOptions options = {})
        : store_{&store}, place_{&place}, options_{std::move(options)}
    {
    }

    /// Handles what lies behind the checkpoint, until the end of the log or a stop request.
    /// @param handle  called as `handle(const RecordedEvent&)`
    /// @param flush   called before each checkpoint is saved: what was handled must be safe then
    /// @return the position reached
    /// @throws what `handle`, `flush`, store and checkpoint throw; the page is shown again next time
    template <class Handle, class Flush>
    GlobalPosition catch_up(Handle&& handle, Flush&& flush, std::stop_token stop = {})
    {
        GlobalPosition position = place_->load();
        while (!stop.stop_requested()) {
            const auto reached = store_->read_log(position, options_.page_size, [&](const RecordedEvent& event) {
                handle(event);
                return true;
            });
            if (reached == position) break;
            flush();
            place_->save(reached);
            position = reached;
        }
        return position;
    }

    template <class Handle>
    GlobalPosition catch_up(Handle&& handle)
    {
        return catch_up(handle, [] {});
    }

    /// Catches up, then goes on with whatever is appended, until stopped. A failure is told to `on_failure`, and the page
    /// is tried again after a delay.
    template <class Handle, class Flush>
    void run(std::stop_token stop, Handle&& handle, Flush&& flush)
    {
        detail::follow_log(*store_, options_, stop, [&] { return catch_up(handle, flush, stop); });
    }

    template <class Handle>
    void run(std::stop_token stop, Handle&& handle)
    {
        run(std::move(stop), handle, [] {});
    }

private:
    Store* store_;
    Place* place_;
    SubscriptionOptions options_;
};

} // namespace escqrs
