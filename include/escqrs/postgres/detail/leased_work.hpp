// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/clock.hpp>
#include <escqrs/core/stop_token.hpp>
#include <escqrs/core/timestamp.hpp>
#include <escqrs/postgres/connection.hpp>
#include <escqrs/postgres/lease.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <string>
#include <utility>

namespace escqrs::inline v0::postgres::detail {

/// Work that is done in its own thread as long as a lease is held.
///
/// A watchdog requests its stop when the lease ends, whatever the connection is doing then; so does `stop`.
/// @par Thread safety  none; `work` runs in its own thread
class LeasedWork {
public:
    using Work = std::function<void(const Lease&, stop_token)>;

    /// @param stop    also stops the work
    /// @param shards  of which the lease is one; 0 if it is none
    LeasedWork(Connection& connection, std::string name, const LeaseOptions& options, Clock& clock, stop_token stop,
               Work work, std::size_t shards = 0)
        : connection_{&connection}, lease_{connection, std::move(name), options, static_cast<std::int64_t>(shards)},
          clock_{&clock}, stop_{std::move(stop)}, work_{std::move(work)}
    {
    }
    LeasedWork(const LeasedWork&) = delete;
    LeasedWork& operator=(const LeasedWork&) = delete;
    ~LeasedWork() { request_stop(); }

    bool is_begun() const noexcept { return thread_.joinable(); }
    bool is_stopping() const { return is_begun() && stop_work_.stop_requested(); }

    /// Whether the work has returned by itself.
    bool is_finished() const noexcept { return is_finished_; }

    /// How long to wait between two calls of `tend`: several times in the lease's duration.
    Duration pause() const noexcept
    {
        return std::clamp<Duration>(lease_.options().duration / 4, std::chrono::milliseconds{1},
                                    std::chrono::seconds{1});
    }

    /// Takes the lease if it is free, and begins.
    void try_begin();

    /// Renews the lease, and requests the work's stop if another holds it. If the work has ended, releases the lease.
    /// @return false if the server could not be reached: the connection is lost, and there is no new one
    /// @throws what `work` threw
    bool tend();

    void request_stop() { stop_work_.request_stop(); }

    /// Waits until the work has ended.
    void join()
    {
        if (!is_begun()) return;
        thread_.join();
        clear_up();
    }

private:
    enum class State : std::uint8_t { works, has_returned, was_stopped, has_lost_the_lease, has_failed };

    bool acquire();
    void run(stop_source stop_work) noexcept;
    void watch(const stop_token& stop, const stop_source& stop_work);
    bool renew();
    void clear_up();

    Connection* connection_;
    Lease lease_;
    Clock* clock_;
    stop_token stop_;
    Work work_;
    bool is_finished_ = false;
    std::exception_ptr failure_; ///< set before `state_` says so
    std::atomic<State> state_{State::works};
    stop_source stop_work_{nostopstate};

    std::mutex mutex_;
    condition_variable_any renewed_;
    SteadyTime held_until_; ///< or later

    jthread thread_;
    jthread watchdog_; ///< destroyed first
};

/// Takes or renews the lease.
inline bool LeasedWork::acquire()
{
    const SteadyTime asked = clock_->steady(); // before the server's time begins
    if (!lease_.acquire()) return false;
    {
        const std::scoped_lock lock{mutex_};
        held_until_ = later_by(asked, lease_.options().duration);
    }
    renewed_.notify_all();
    return true;
}

inline void LeasedWork::try_begin()
{
    if (!acquire()) return;
    state_ = State::works;
    stop_work_ = stop_source{};
    thread_ = jthread{[this, stop_work = stop_work_] { run(stop_work); }};
    watchdog_ = jthread{[this, stop_work = stop_work_](const stop_token& stop) { watch(stop, stop_work); }};
}

inline void LeasedWork::run(stop_source stop_work) noexcept
{
    try {
        const stop_callback stop_too{stop_, [&] { stop_work.request_stop(); }};
        work_(lease_, stop_work.get_token());
        state_ = stop_work.stop_requested() ? State::was_stopped : State::has_returned;
    } catch (const LeaseLost&) {
        state_ = State::has_lost_the_lease;
    } catch (...) {
        failure_ = std::current_exception();
        state_ = State::has_failed;
    }
}

inline void LeasedWork::watch(const stop_token& stop, const stop_source& stop_work)
{
    std::unique_lock lock{mutex_};
    while (!stop.stop_requested()) {
        const SteadyTime end = held_until_;
        const Duration left = time_until(end, clock_->steady());
        if (left <= Duration::zero()) {
            stop_work.request_stop();
            return;
        }
        (void)clock_->wait_for(lock, renewed_, left, stop, [&] { return held_until_ != end; });
    }
}

inline bool LeasedWork::tend()
{
    if (!is_begun()) return true;
    if (state_ == State::works) return renew();
    thread_.join();
    clear_up();
    return true;
}

inline bool LeasedWork::renew()
{
    try {
        if (!acquire()) request_stop();
        return true;
    } catch (const StoreError&) { // the server may be back in time
        return !connection_->is_lost();
    }
}

inline void LeasedWork::clear_up()
{
    is_finished_ = state_ == State::has_returned;
    thread_ = {};
    watchdog_ = {};
    try {
        if (!connection_->is_lost()) lease_.release();
    } catch (const StoreError&) { // NOLINT(bugprone-empty-catch): it runs out
    }
    if (state_ == State::has_failed) std::rethrow_exception(failure_);
}

/// Lets a stop request end the waits of a connection, as long as this lives.
class StopsWaits {
public:
    StopsWaits(Connection& connection, stop_token stop) : connection_{&connection}, before_{connection.options().stop}
    {
        connection.set_stop(std::move(stop));
    }
    StopsWaits(const StopsWaits&) = delete;
    StopsWaits& operator=(const StopsWaits&) = delete;
    ~StopsWaits() { connection_->set_stop(std::move(before_)); }

private:
    Connection* connection_;
    stop_token before_;
};

} // namespace escqrs::inline v0::postgres::detail
