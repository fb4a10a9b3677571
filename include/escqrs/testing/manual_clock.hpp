// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/clock.hpp>
#include <escqrs/core/stop_token.hpp>

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <list>
#include <mutex>
#include <thread>
#include <utility>

namespace escqrs::inline v0::testing {

/// A clock that stands still until a test moves it.
///
/// A wait on it ends when its condition is met, when it is stopped, or when the time has been moved far enough; the
/// speed of the machine plays no part.
/// @par Thread safety  all members may be called from any thread
class ManualClock final : public Clock {
public:
    /// Starts at 2026-01-01T00:00:00Z.
    ManualClock() noexcept : ManualClock{std::chrono::sys_days{std::chrono::year{2026} / 1 / 1}} {}
    /// Starts at `start`.
    explicit ManualClock(Timestamp start) noexcept : now_{start}, steady_{start.time_since_epoch()} {}

    Timestamp now() const override
    {
        const std::scoped_lock lock{mutex_};
        return now_;
    }

    /// Begins like `now`; only `advance` moves it.
    SteadyTime steady() const override
    {
        const std::scoped_lock lock{mutex_};
        return steady_;
    }

    bool wait_for(std::unique_lock<std::mutex>& lock, condition_variable_any& wake, Duration at_most, stop_token stop,
                  FunctionRef<bool()> ready) override;

    /// Sets the time of day, forward or back, as an administrator does. No time passes, and no wait ends.
    void set(Timestamp now)
    {
        const std::scoped_lock lock{mutex_};
        now_ = now;
    }

    /// Moves the time forward and ends the waits whose time has come; returns when all of them have been woken. A
    /// duration below zero sets the time of day back, as `set` does.
    void advance(Duration by);

    /// How many calls of `wait_for` are under way.
    std::size_t waiting() const
    {
        const std::scoped_lock lock{mutex_};
        return waiters_.size();
    }

    /// Blocks until that many calls of `wait_for` are under way.
    void await_waiting(std::size_t count) const
    {
        std::unique_lock lock{mutex_};
        changed_.wait(lock, [&] { return waiters_.size() >= count; });
    }

private:
    struct Waiter {
        std::mutex* mutex;
        condition_variable_any* wake;
        SteadyTime deadline;
    };

    mutable std::mutex mutex_;
    mutable std::condition_variable changed_;
    Timestamp now_;
    SteadyTime steady_;
    std::list<Waiter> waiters_;
};

inline bool ManualClock::wait_for(std::unique_lock<std::mutex>& lock, condition_variable_any& wake, Duration at_most,
                                  stop_token stop, FunctionRef<bool()> ready)
{
    std::list<Waiter>::iterator self;
    SteadyTime deadline;
    {
        const std::scoped_lock guard{mutex_};
        deadline = later_by(steady_, at_most);
        self = waiters_.insert(waiters_.end(), {lock.mutex(), &wake, deadline});
        changed_.notify_all();
    }
    wake.wait(lock, std::move(stop), [&] { return ready() || steady() >= deadline; });
    {
        const std::scoped_lock guard{mutex_};
        waiters_.erase(self);
    }
    return ready();
}

inline void ManualClock::advance(Duration by)
{
    std::unique_lock lock{mutex_};
    now_ = later_by(now_, by);
    steady_ = later_by(steady_, std::max(by, Duration::zero()));
    // A waiter between its look at the time and its sleep holds its mutex, so a wake-up that has locked the mutex is
    // not lost. Waiters take that mutex first and the clock's second, hence only a try; while the clock's is held here,
    // no waiter disappears.
    for (bool again = true; std::exchange(again, false);) {
        for (Waiter& waiter : waiters_) {
            if (waiter.deadline > steady_) continue;
            if (waiter.mutex->try_lock()) {
                waiter.mutex->unlock();
                waiter.wake->notify_all();
            } else {
                again = true;
            }
        }
        if (again) {
            lock.unlock();
            std::this_thread::yield();
            lock.lock();
        }
    }
}

} // namespace escqrs::inline v0::testing
