// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/jitter.hpp>
#include <escqrs/core/timestamp.hpp>

#include <algorithm>
#include <utility>

namespace conference {

/// Delays that double after each failure, each drawn from the upper half, so that many who failed at once do not come
/// back at once.
/// @par Thread safety  none
class Backoff {
public:
    Backoff(escqrs::Duration first, escqrs::Duration longest, escqrs::Jitter jitter)
        : first_{first}, longest_{longest}, delay_{first}, jitter_{std::move(jitter)}
    {
    }

    escqrs::Duration next()
    {
        const auto whole = static_cast<double>(delay_.count());
        const auto drawn = escqrs::Duration{static_cast<escqrs::Duration::rep>(whole * (0.5 + 0.5 * jitter_()))};
        delay_ = escqrs::doubled(delay_, longest_);
        return drawn;
    }

    void reset() noexcept { delay_ = first_; }

private:
    escqrs::Duration first_;
    escqrs::Duration longest_;
    escqrs::Duration delay_;
    escqrs::Jitter jitter_;
};

} // namespace conference
