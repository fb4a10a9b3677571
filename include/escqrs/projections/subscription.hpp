// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/backoff.hpp>
#include <escqrs/core/bookmark.hpp>
#include <escqrs/core/check_option.hpp>
#include <escqrs/core/clock.hpp>
#include <escqrs/core/error.hpp>
#include <escqrs/core/stop_token.hpp>
#include <escqrs/projections/checkpoint.hpp>
#include <escqrs/projections/log_guard.hpp>
#include <escqrs/store/event_filter.hpp>
#include <escqrs/store/event_store.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <utility>

namespace escqrs::inline v0 {

/// Waits until a reader of the log, in any process, has saved a position at or beyond `position`: then a query of its
/// read model sees that event.
/// @param checkpoint     the reader's checkpoint, which this thread checks every `poll_interval`
/// @param deadline       by `clock`; adjusting the clock later does not change the wait
/// @return false if that did not happen by the deadline, or `stop` was requested first
template <class CheckpointType>
    requires requires(CheckpointType& checkpoint) {
        { checkpoint.load() } -> std::same_as<GlobalPosition>;
    }
bool wait_for(CheckpointType& checkpoint, GlobalPosition position, Timestamp deadline, stop_token stop = {},
              Duration poll_interval = std::chrono::milliseconds{5}, Clock& clock = system_clock())
{
    detail::check_at_least(detail::not_zero, poll_interval, "poll_interval");
    const SteadyTime end = later_by(clock.steady(), time_until(deadline, clock.now()));
    while (checkpoint.load() < position) {
        const Duration left = time_until(end, clock.steady());
        if (left == Duration::zero() || !sleep_for(clock, std::min(poll_interval, left), stop)) return false;
    }
    return true;
}

/// Checks that a reader could continue from its checkpoint: for a program that wants to know before the reader runs, or
/// reports whether it is ready. Readers check it themselves.
/// @throws LogMismatch if the checkpoint was made from another log, or is beyond what this one holds
template <EventStore Store, Checkpoint CheckpointType>
void require_same_log(Store& store, CheckpointType& checkpoint)
{
    (void)detail::LogGuard{store, detail::description_of(checkpoint)}.begin(detail::bookmark_of(checkpoint));
}

/// What a projection does with an event that newer code has written: of a type, or of a schema version, unknown here.
enum class UnknownEvents : std::uint8_t {
    /// Stops before it, with an error that names it.
    fail,
    /// Skips it, for good. If upcasting makes several events of it, those before the unknown one are still handled.
    skip,
};

/// Which events a reader of the log gets, and how it behaves while it runs.
///
/// The thread that reads calls the hooks; the threads of a `ParallelSubscription` call `on_failure` as well, one at a
/// time. What `on_failure` throws ends `run`, except on such a thread, where it is dropped. What `on_caught_up` throws
/// counts as a failure.
struct SubscriptionOptions {
    EventFilter filter{}; ///< what the store shows
    /// Whether to handle an event that the store shows.
    std::function<bool(const RecordedEvent&)> predicate{};
    std::size_t page_size = 500;                                ///< events between two checkpoints
    Duration max_wait = std::chrono::seconds{1};                ///< longest sleep at the end of the log
    Duration first_retry_delay = std::chrono::milliseconds{20}; ///< after a failure; doubled each time
    Duration max_retry_delay = std::chrono::seconds{10};        ///< limit of the doubling
    /// Called with each failure and the delay that follows.
    std::function<void(std::exception_ptr, Duration)> on_failure{};

    /// Called when a running reader has reached the end of the log: at first, and each time it had fallen behind, also
    /// by a rebuild of its read model.
    std::function<void(GlobalPosition)> on_caught_up{};

    UnknownEvents unknown_events = UnknownEvents::fail; ///< projections only
    /// Called with each unknown event skipped.
    std::function<void(const RecordedEvent&, const std::exception&)> on_skipped{};
    Clock* clock = &system_clock(); ///< must outlive the reader
};

namespace detail {

/// @throws InvalidOption if no reader can work with them
inline SubscriptionOptions checked(SubscriptionOptions options)
{
    check_at_least(1, options.page_size, "page_size");
    check_at_least(not_zero, options.max_wait, "max_wait");
    check_at_least(not_negative, options.first_retry_delay, "first_retry_delay");
    check_at_least(not_negative, options.max_retry_delay, "max_retry_delay");
    check_given(options.clock, "clock");
    return options;
}

inline bool is_wanted(const SubscriptionOptions& options, const RecordedEvent& event)
{
    return !options.predicate || options.predicate(event);
}

/// Runs `catch_up` again and again until stopped: sleeps at the end of the log, backs off after a failure.
template <EventStore Store, class CatchUp>
void follow_log(Store& store, LogGuard<Store>& guard, const SubscriptionOptions& options, stop_token stop,
                CatchUp catch_up)
{
    Backoff backoff{options.first_retry_delay, options.max_retry_delay};
    bool was_behind = true;
    while (!stop.stop_requested()) {
        try {
            const GlobalPosition reached = catch_up();
            if (stop.stop_requested()) return;
            was_behind |= guard.take_advanced();
            if (options.on_caught_up && was_behind) options.on_caught_up(reached);
            was_behind = false;
            backoff.reset();
            store.wait_for_events(reached, options.max_wait, stop);
        } catch (const ReadModelSuperseded&) {
            throw; // for good
        } catch (const InvalidOption&) {
            if (options.on_failure) options.on_failure(std::current_exception(), Duration::zero());
            throw;
        } catch (const LogMismatch&) {
            if (options.on_failure) options.on_failure(std::current_exception(), Duration::zero());
            throw;
        } catch (...) {
            const Duration delay = backoff.next();
            if (options.on_failure) options.on_failure(std::current_exception(), delay);
            sleep_for(*options.clock, delay, stop);
        }
    }
}

} // namespace detail

/// Reads the log from a checkpoint onwards and passes every event to a handler, at least once and in order.
///
/// The checkpoint is saved after each page: a crash in between shows that page's events again.
/// @par Thread safety  none; `run` it in its own thread
template <EventStore Store, Checkpoint CheckpointType>
class Subscription {
public:
    /// @param store, checkpoint  must outlive the subscription
    /// @throws InvalidOption
    Subscription(Store& store, CheckpointType& checkpoint, SubscriptionOptions options = {})
        : store_{&store}, checkpoint_{&checkpoint}, options_{detail::checked(std::move(options))},
          guard_{store, detail::description_of(checkpoint)}
    {
    }

    /// Handles the events after the checkpoint, until the end of the log or a stop request.
    /// @param handle  called as `handle(const RecordedEvent&)`
    /// @param flush   called before each checkpoint is saved, with its position if it takes one: afterwards, what was
    ///               handled must be safe
    /// @return the position reached
    /// @throws LogMismatch if the checkpoint was made from another log, or is beyond what this one holds
    /// @throws what `handle`, `flush`, store and checkpoint throw; the page is shown again next time
    template <class Handle, class Flush>
    GlobalPosition catch_up(Handle&& handle, Flush&& flush, stop_token stop = {})
    {
        const Bookmark saved = guard_.load(*checkpoint_);
        Bookmark mark = guard_.begin(saved);
        detail::adopt(*checkpoint_, saved, mark);
        for (bool is_first = true; !stop.stop_requested(); is_first = false) {
            const auto show = [&](const RecordedEvent& event) {
                guard_.note(event);
                if (detail::is_wanted(options_, event)) handle(event);
                return !stop.stop_requested();
            };
            const auto reached = store_->read_log(mark.position, options_.page_size, options_.filter, show);
            if (reached == mark.position) {
                if (is_first) guard_.check(mark);
                break;
            }
            mark = guard_.advance(reached);
            if constexpr (std::invocable<Flush&, GlobalPosition>) flush(reached);
            else flush();
            detail::save(*checkpoint_, mark);
        }
        guard_.settle();
        return mark.position;
    }

    /// The same with nothing to flush.
    template <class Handle>
    GlobalPosition catch_up(Handle&& handle)
    {
        return catch_up(handle, [] {});
    }

    /// Catches up, then continues with what is appended, until stopped. Calls `on_failure` after a failure, and tries
    /// the page again after a delay.
    /// @throws LogMismatch, after a call of `on_failure`: trying again is of no use
    template <class Handle, class Flush>
    void run(stop_token stop, Handle&& handle, Flush&& flush)
    {
        detail::follow_log(*store_, guard_, options_, stop, [&] { return catch_up(handle, flush, stop); });
    }

    /// The same with nothing to flush.
    template <class Handle>
    void run(stop_token stop, Handle&& handle)
    {
        run(std::move(stop), handle, [] {});
    }

private:
    Store* store_;
    CheckpointType* checkpoint_;
    SubscriptionOptions options_;
    detail::LogGuard<Store> guard_;
};

} // namespace escqrs::inline v0
