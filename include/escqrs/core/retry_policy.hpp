// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/check_option.hpp>
#include <escqrs/core/timestamp.hpp>

#include <chrono>

namespace escqrs {

/// How often something is tried in all, and how long is waited in between: `delay`, doubled each time up to `max_delay`.
/// `Repository::execute` tries for the second time at once, and does not draw lots; `retry_on_conflict` does.
struct RetryPolicy {
    unsigned attempts = 10;
    Duration delay = std::chrono::milliseconds{1};
    Duration max_delay = std::chrono::milliseconds{50};
};

namespace detail {

/// @throws InvalidOption if nothing can be tried so
inline void check(const RetryPolicy& policy)
{
    check_at_least(1, policy.attempts, "attempts");
    check_at_least(not_negative, policy.delay, "delay");
    check_at_least(not_negative, policy.max_delay, "max_delay");
}

} // namespace detail

} // namespace escqrs
