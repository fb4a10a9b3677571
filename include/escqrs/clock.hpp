// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/detail/function_ref.hpp>
#include <escqrs/timestamp.hpp>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <stop_token>

namespace escqrs {

/// Where the library's parts get the time from, and how they wait. A test hands in one that it moves itself.
/// @par Thread safety  all members may be called from any thread
class Clock {
public:
    Clock() = default;
    Clock(const Clock&) = delete;
    Clock& operator=(const Clock&) = delete;
    virtual ~Clock() = default;

    virtual Timestamp now() const = 0;

    /// Waits on `wake` until `ready()`, until `stop` is requested, or until `at_most` has passed on this clock.
    /// @param lock  held by the caller; `ready` runs with it held
    /// @return what `ready()` says at the end
    virtual bool wait_for(std::unique_lock<std::mutex>& lock, std::condition_variable_any& wake, Duration at_most,
                          std::stop_token stop, FunctionRef<bool()> ready) = 0;
};

/// The machine's clock.
class SystemClock final : public Clock {
public:
    Timestamp now() const override { return std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now()); }

    bool wait_for(std::unique_lock<std::mutex>& lock, std::condition_variable_any& wake, Duration at_most,
                  std::stop_token stop, FunctionRef<bool()> ready) override
    {
        constexpr Duration longest = std::chrono::hours{24 * 365 * 100}; // the end of a longer wait would overflow
        return wake.wait_for(lock, std::move(stop), std::min(at_most, longest), ready);
    }
};

/// The machine's clock, for defaults. It has no state.
inline Clock& system_clock() noexcept
{
    static SystemClock clock;
    return clock;
}

/// Waits until `duration` has passed on `clock` or `stop` is requested.
/// @return false if it was stopped
inline bool sleep_for(Clock& clock, Duration duration, std::stop_token stop)
{
    std::mutex mutex;
    std::condition_variable_any wake;
    std::unique_lock lock{mutex};
    clock.wait_for(lock, wake, duration, stop, [] { return false; });
    return !stop.stop_requested();
}

} // namespace escqrs
