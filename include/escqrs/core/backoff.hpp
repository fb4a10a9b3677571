// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/check_option.hpp>
#include <escqrs/core/detail/random_bytes.hpp>
#include <escqrs/core/timestamp.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <utility>

namespace escqrs::inline v0 {

/// How many attempts are made in all, and how long the pause between them is: `delay`, doubled each time up to
/// `max_delay`. `Repository::execute` makes its second attempt at once, and waits without jitter; `retry_on_conflict`
/// adds jitter.
struct RetryPolicy {
    unsigned attempts = 10;                             ///< in all, the first included; 1 at least
    Duration delay = std::chrono::milliseconds{1};      ///< before the second attempt
    Duration max_delay = std::chrono::milliseconds{50}; ///< limit of the doubling
};

/// Draws a number from 0 up to, but not including, 1, by which delays are spread. Called from any thread at once, so it
/// must be thread-safe.
using Jitter = std::function<double()>;

/// Such a number from the operating system's source, which differs in every process.
inline double random_jitter()
{
    std::uint64_t random = 0;
    detail::random_bytes().take(&random, sizeof random);
    return static_cast<double>(random >> 11U) * 0x1p-53; // 53 of the 64 bits, as many as a double holds
}

/// The share of a delay that is waited: a random one, from `least` up to `most`.
struct JitterRange {
    double least; ///< 0 to 1
    double most;  ///< up to 1
};

/// Delays that double after each failure. Jitter spreads them, so that many who failed at once do not come back at
/// once.
/// @par Thread safety  none
class Backoff {
public:
    /// @param longest  also bounds `first`
    /// @param jitter   without one, delays are exact
    /// @param range    by default, half of the delay is certain and half is random
    Backoff(Duration first, Duration longest, Jitter jitter = {}, JitterRange range = {0.5, 1.0})
        : first_{std::min(first, longest)}, longest_{longest}, delay_{first_}, jitter_{std::move(jitter)}, range_{range}
    {
    }

    /// How long to wait after a failure.
    Duration next()
    {
        const Duration delay = std::exchange(delay_, delay_ > longest_ / 2 ? longest_ : 2 * delay_);
        if (!jitter_) return delay;
        const double share = range_.least + (range_.most - range_.least) * jitter_();
        const double drawn = std::min(static_cast<double>(delay.count()) * share, 0x1p62); // what fits in any case
        return Duration{static_cast<Duration::rep>(drawn)};
    }

    /// After a success: the next failure is followed by the first delay again.
    void reset() noexcept { delay_ = first_; }

private:
    Duration first_;
    Duration longest_;
    Duration delay_;
    Jitter jitter_;
    JitterRange range_;
};

namespace detail {

/// @throws InvalidOption if no attempt can be made by it
inline void check(const RetryPolicy& policy)
{
    check_at_least(1, policy.attempts, "attempts");
    check_at_least(not_negative, policy.delay, "delay");
    check_at_least(not_negative, policy.max_delay, "max_delay");
}

} // namespace detail

} // namespace escqrs::inline v0
