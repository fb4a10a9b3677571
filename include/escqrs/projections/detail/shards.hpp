// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/config.hpp>
#include <escqrs/core/backoff.hpp>
#include <escqrs/core/bookmark.hpp>
#include <escqrs/core/clock.hpp>
#include <escqrs/core/stop_token.hpp>
#include <escqrs/projections/detail/owned_event.hpp>
#include <escqrs/projections/subscription.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace escqrs::inline v0::detail {

/// Threads that handle events, each stream's always in the same thread, and the record of what has been handled.
///
/// An event that fails is tried again after a delay, and holds up its thread; or, without retries, ends the work of all
/// threads.
/// @par Thread safety  one thread pushes and queries
class Shards {
public:
    using Handle = std::function<void(const RecordedEvent&)>;

    /// @param start  everything up to there counts as read and handled
    Shards(std::size_t count, const SubscriptionOptions& options, bool retries, const Bookmark& start, Handle handle);
    Shards(const Shards&) = delete;
    Shards& operator=(const Shards&) = delete;
    ~Shards() { stop(); }

    /// Passes an event to its thread, once there is room.
    /// @return false if it was not taken, because of a stop or a failure
    bool push(const RecordedEvent& event, LogId log, const stop_token& stop);

    /// Notes that every event up to there has been pushed, or is not wanted.
    void set_read(const Bookmark& mark);

    /// The position up to which everything has been handled.
    Bookmark handled() const;

    bool is_idle() const;
    bool has_failed() const;

    /// Waits until everything has been handled, at most that long.
    void wait_until_idle(Duration at_most, const stop_token& stop);

    /// Ends the threads after the events they are handling.
    void stop();

    /// Throws the failure that ended the work, if one did.
    void rethrow_failure() const;

private:
    struct Task {
        OwnedEvent event;
        std::uint64_t number;
    };
    struct Shard {
        std::deque<Task> tasks;
        condition_variable_any pushed;
    };
    struct InFlight {
        Bookmark mark;
        bool is_done = false;
    };

    void work(Shard& shard, const stop_token& stop);
    bool handle(const OwnedEvent& event, const stop_token& stop);
    void report(std::exception_ptr failure, Duration delay) noexcept;
    void finish(const Task& task);
    void fail(std::exception_ptr failure);

    const SubscriptionOptions* options_;
    const bool retries_;
    const std::size_t max_in_flight_;
    const Handle handle_;

    mutable std::mutex mutex_;
    condition_variable_any progress_;
    /// In order of the log, from the first that is not done.
    std::deque<InFlight> in_flight_;
    std::uint64_t first_number_ = 0; ///< of `in_flight_`
    Bookmark read_;
    Bookmark handled_;
    std::exception_ptr failure_;
    std::vector<std::unique_ptr<Shard>> shards_;
    std::vector<jthread> threads_; ///< last: they use all of the above
};

#if ESCQRS_HAS_BODIES

ESCQRS_INLINE Shards::Shards(std::size_t count, const SubscriptionOptions& options, bool retries, const Bookmark& start,
                             Handle handle)
    : options_{&options}, retries_{retries},
      max_in_flight_{4 * std::min(options.page_size, std::numeric_limits<std::size_t>::max() / 4)},
      handle_{std::move(handle)}, read_{start}, handled_{start}
{
    for (std::size_t index = 0; index < count; ++index) shards_.push_back(std::make_unique<Shard>());
    for (const auto& shard : shards_) {
        threads_.emplace_back([this, own = shard.get()](const stop_token& stop) { work(*own, stop); });
    }
}

ESCQRS_INLINE bool Shards::push(const RecordedEvent& event, LogId log, const stop_token& stop)
{
    OwnedEvent owned{event};
    Shard& shard = *shards_[std::hash<StreamId>{}(event.stream) % shards_.size()];
    {
        std::unique_lock lock{mutex_};
        progress_.wait(lock, stop, [&] { return in_flight_.size() < max_in_flight_ || failure_; });
        if (stop.stop_requested() || failure_) return false;
        const std::uint64_t number = first_number_ + in_flight_.size();
        shard.tasks.push_back({std::move(owned), number});
        read_ = {event.position, log, event.id};
        in_flight_.push_back({read_});
    }
    shard.pushed.notify_one();
    return true;
}

ESCQRS_INLINE void Shards::set_read(const Bookmark& mark)
{
    const std::scoped_lock lock{mutex_};
    if (read_.position < mark.position) read_ = mark;
    if (in_flight_.empty()) handled_ = read_;
}

ESCQRS_INLINE Bookmark Shards::handled() const
{
    const std::scoped_lock lock{mutex_};
    return handled_;
}

ESCQRS_INLINE bool Shards::is_idle() const
{
    const std::scoped_lock lock{mutex_};
    return in_flight_.empty();
}

ESCQRS_INLINE bool Shards::has_failed() const
{
    const std::scoped_lock lock{mutex_};
    return failure_ != nullptr;
}

ESCQRS_INLINE void Shards::wait_until_idle(Duration at_most, const stop_token& stop)
{
    std::unique_lock lock{mutex_};
    options_->clock->wait_for(lock, progress_, at_most, stop, [&] { return in_flight_.empty() || failure_; });
}

ESCQRS_INLINE void Shards::stop()
{
    for (jthread& thread : threads_) thread.request_stop();
    for (jthread& thread : threads_) {
        if (thread.joinable()) thread.join();
    }
}

ESCQRS_INLINE void Shards::rethrow_failure() const
{
    const std::scoped_lock lock{mutex_};
    if (failure_) std::rethrow_exception(failure_);
}

ESCQRS_INLINE void Shards::work(Shard& shard, const stop_token& stop)
{
    std::unique_lock lock{mutex_};
    while (shard.pushed.wait(lock, stop, [&] { return !shard.tasks.empty(); }) && !stop.stop_requested()) {
        const Task task = std::move(shard.tasks.front());
        shard.tasks.pop_front();
        lock.unlock();
        if (!handle(task.event, stop)) return;
        lock.lock();
        finish(task);
    }
}

/// @return false if the event could not be handled, and the thread is to end
ESCQRS_INLINE bool Shards::handle(const OwnedEvent& event, const stop_token& stop)
{
    Backoff backoff{options_->first_retry_delay, options_->max_retry_delay};
    for (;;) {
        Duration delay{};
        try {
            handle_(event.view());
            return true;
        } catch (...) {
            if (!retries_) {
                fail(std::current_exception());
                return false;
            }
            delay = backoff.next();
            report(std::current_exception(), delay);
        }
        if (!sleep_for(*options_->clock, delay, stop)) return false;
    }
}

/// Calls `on_failure`. What that throws must not end the thread, and there is no other place to report it to.
ESCQRS_INLINE void Shards::report(std::exception_ptr failure, Duration delay) noexcept
{
    try {
        if (options_->on_failure) options_->on_failure(std::move(failure), delay);
    } catch (...) { // NOLINT(bugprone-empty-catch)
    }
}

ESCQRS_INLINE void Shards::finish(const Task& task)
{
    in_flight_[static_cast<std::size_t>(task.number - first_number_)].is_done = true;
    const bool moves = in_flight_.front().is_done;
    while (!in_flight_.empty() && in_flight_.front().is_done) {
        handled_ = in_flight_.front().mark;
        in_flight_.pop_front();
        ++first_number_;
    }
    if (in_flight_.empty()) handled_ = read_;
    if (moves) progress_.notify_all();
}

ESCQRS_INLINE void Shards::fail(std::exception_ptr failure)
{
    {
        const std::scoped_lock lock{mutex_};
        if (!failure_) failure_ = std::move(failure);
    }
    for (jthread& thread : threads_) thread.request_stop();
    progress_.notify_all();
}

#endif // ESCQRS_HAS_BODIES

} // namespace escqrs::inline v0::detail
