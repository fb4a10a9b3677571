// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/detail/boot_time.hpp>
#include <escqrs/core/function_ref.hpp>
#include <escqrs/core/stop_token.hpp>
#include <escqrs/core/timestamp.hpp>

#include <algorithm>
#include <chrono>
#include <mutex>
#include <optional>
#include <string>

namespace escqrs::inline v0 {

/// Tells the parts of the library the time, and lets them wait. A test passes a clock that only the test moves.
/// @par Thread safety  all members may be called from any thread
class Clock {
public:
    Clock() = default;
    Clock(const Clock&) = delete;
    Clock& operator=(const Clock&) = delete;
    virtual ~Clock() = default;

    /// The time of day. It may be set, forward or back, at any moment: measure durations by `steady`.
    virtual Timestamp now() const = 0;

    /// The time that has passed since some moment, independent of the time of day. By default this counts by how much
    /// `now` goes forward between calls.
    virtual SteadyTime steady() const;

    /// Names what `steady` counts from. Readings compare with those of other clocks, in this process or another, that
    /// return the same name.
    virtual std::string steady_origin() const { return {}; }

    /// Waits on `wake` until `ready()`, until `stop` is requested, or until `at_most` has passed on this clock.
    /// @param lock  held by the caller; `ready` runs with it held
    /// @return what `ready()` says at the end
    virtual bool wait_for(std::unique_lock<std::mutex>& lock, condition_variable_any& wake, Duration at_most,
                          stop_token stop, FunctionRef<bool()> ready) = 0;

private:
    mutable std::mutex mutex_;
    mutable std::optional<Timestamp> last_; ///< reading of `now`
    mutable SteadyTime steady_;
};

/// The machine's clock. `steady` counts from its start, and continues while it sleeps.
class SystemClock final : public Clock {
public:
    Timestamp now() const override { return std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now()); }

    SteadyTime steady() const override { return detail::boot_time(); }

    /// The id that the kernel drew when it started; empty where the system has none.
    std::string steady_origin() const override { return detail::boot_id(); }

    bool wait_for(std::unique_lock<std::mutex>& lock, condition_variable_any& wake, Duration at_most, stop_token stop,
                  FunctionRef<bool()> ready) override
    {
        // The end of a wait of a hundred years does not fit a time_t of 32 bits.
        constexpr Duration longest = std::chrono::hours{24 * 365 * 10};
        return wake.wait_for(lock, std::move(stop), std::min(at_most, longest), ready);
    }
};

inline SteadyTime Clock::steady() const
{
    const std::scoped_lock lock{mutex_};
    const Timestamp read = now();
    if (!last_) steady_ = SteadyTime{read.time_since_epoch()};
    else steady_ = later_by(steady_, time_until(read, *last_));
    last_ = read;
    return steady_;
}

/// The machine's clock, for defaults. It has no state.
inline Clock& system_clock() noexcept
{
    static SystemClock clock;
    return clock;
}

/// Waits until `duration` has passed on `clock` or `stop` is requested.
/// @return false if it was stopped
inline bool sleep_for(Clock& clock, Duration duration, stop_token stop)
{
    std::mutex mutex;
    condition_variable_any wake;
    std::unique_lock lock{mutex};
    clock.wait_for(lock, wake, duration, stop, [] { return false; });
    return !stop.stop_requested();
}

} // namespace escqrs::inline v0
