// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/clock.hpp>
#include <escqrs/postgres/lease.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>

namespace escqrs::postgres::detail {

/// Work that is done in a thread of its own as long as a lease is held.
/// @par Thread safety  none; `work` runs in its own thread
class LeasedWork {
public:
    using Work = std::function<void(const Lease&, std::stop_token)>;

    /// @param shards  of which the lease is one; 0 if it is none
    LeasedWork(Connection& connection, std::string name, const LeaseOptions& options, Clock& clock, Work work,
               std::size_t shards = 0)
        : lease_{connection, std::move(name), options, static_cast<std::int64_t>(shards)}, clock_{&clock},
          work_{std::move(work)}
    {
    }
    LeasedWork(const LeasedWork&) = delete;
    LeasedWork& operator=(const LeasedWork&) = delete;

    bool is_begun() const noexcept { return thread_.joinable(); }
    bool is_stopping() const { return is_begun() && thread_.get_stop_token().stop_requested(); }

    /// Whether the work has returned by itself.
    bool is_finished() const noexcept { return is_finished_; }

    /// Takes the lease if it is to be had, and begins.
    void try_begin();

    /// To be called several times in the lease's duration: renews it, and has the work stop if that fails; clears up behind
    /// work that has ended, and lets others have the lease.
    /// @throws what `work` threw
    void tend();

    void request_stop() { thread_.request_stop(); }

    /// Waits until the work has ended.
    void join()
    {
        if (!is_begun()) return;
        thread_.join();
        clear_up();
    }

private:
    enum class State : std::uint8_t { works, has_returned, has_lost_the_lease, has_failed };

    void run(const std::stop_token& stop) noexcept;
    void renew();
    void clear_up();

    Lease lease_;
    Clock* clock_;
    Work work_;
    Timestamp held_until_{}; ///< by this process's clock, at the least
    bool is_finished_ = false;
    std::exception_ptr failure_; ///< before `state_` tells of it
    std::atomic<State> state_{State::works};
    std::jthread thread_; ///< the first to go
};

inline void LeasedWork::try_begin()
{
    const Timestamp asked = clock_->now();
    if (!lease_.acquire()) return;
    held_until_ = asked + lease_.options().duration;
    state_ = State::works;
    thread_ = std::jthread{[this](const std::stop_token& stop) { run(stop); }};
}

inline void LeasedWork::run(const std::stop_token& stop) noexcept
{
    try {
        work_(lease_, stop);
        state_ = State::has_returned;
    } catch (const LeaseLost&) {
        state_ = State::has_lost_the_lease;
    } catch (...) {
        failure_ = std::current_exception();
        state_ = State::has_failed;
    }
}

inline void LeasedWork::tend()
{
    if (!is_begun()) return;
    if (state_ == State::works) return renew();
    thread_.join();
    clear_up();
}

inline void LeasedWork::renew()
{
    const Timestamp asked = clock_->now();
    bool is_held = false;
    try {
        is_held = lease_.acquire();
        if (is_held) held_until_ = asked + lease_.options().duration;
    } catch (const StoreError&) {
        is_held = asked < held_until_; // the server may be back in time
    }
    if (!is_held) request_stop();
}

inline void LeasedWork::clear_up()
{
    is_finished_ = state_ == State::has_returned && !thread_.get_stop_token().stop_requested();
    thread_ = {};
    try {
        lease_.release();
    } catch (const StoreError&) { // NOLINT(bugprone-empty-catch): it runs out
    }
    if (state_ == State::has_failed) std::rethrow_exception(failure_);
}

/// How often in its duration a lease is renewed.
inline constexpr int renewals = 4;

} // namespace escqrs::postgres::detail
