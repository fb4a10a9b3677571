// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/jitter.hpp>
#include <escqrs/core/timestamp.hpp>

#include <utility>

namespace service_bus {

/// Delays between attempts: base × (2^n − 1) after the nth failure in a row, up to a longest one, each up to a fifth more
/// or less, so that many who lost the same broker do not come back at once.
/// @par Thread safety  none
class ReconnectDelay {
public:
    ReconnectDelay(escqrs::Duration base, escqrs::Duration longest, escqrs::Jitter jitter)
        : base_{base}, longest_{longest}, jitter_{std::move(jitter)}
    {
    }

    escqrs::Duration next()
    {
        delay_ = delay_ > (longest_ - base_) / 2 ? longest_ : 2 * delay_ + base_;
        const double factor = 0.8 + 0.4 * jitter_();
        return escqrs::Duration{static_cast<escqrs::Duration::rep>(static_cast<double>(delay_.count()) * factor)};
    }

    /// All is well again.
    void reset() noexcept { delay_ = escqrs::Duration::zero(); }

private:
    escqrs::Duration base_;
    escqrs::Duration longest_;
    escqrs::Duration delay_ = escqrs::Duration::zero();
    escqrs::Jitter jitter_;
};

} // namespace service_bus
