// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/timestamp.hpp>

#include <chrono>

namespace escqrs {

/// How often something is tried in all, and how long is waited in between: `delay`, doubled each time up to `max_delay`.
/// `Repository::execute` tries for the second time at once, and does not draw lots; `retry_on_conflict` does.
struct RetryPolicy {
    unsigned attempts = 10;
    Duration delay = std::chrono::milliseconds{1};
    Duration max_delay = std::chrono::milliseconds{50};
};

} // namespace escqrs
