// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "recovery.hpp"
#include "token_source.hpp"

#include <escqrs/core/backoff.hpp>
#include <escqrs/core/timestamp.hpp>

#include <chrono>
#include <utility>

namespace service_bus {

/// When the token of one audience is put on one connection: at its start, and again ahead of its expiry, while the
/// links continue. A refusal is no harm before the old token ends: it is tried again. Does no I/O and reads no clock.
/// @par Thread safety  none
class TokenSchedule {
public:
    explicit TokenSchedule(escqrs::Jitter jitter)
        : backoff_{reconnect_backoff(std::chrono::milliseconds{800}, std::chrono::minutes{1}, std::move(jitter))}
    {
    }

    /// True if the token must be put now; false while an answer is outstanding.
    bool is_due(escqrs::SteadyTime now) const noexcept { return !is_asking_ && now >= next_; }

    void sent() noexcept { is_asking_ = true; }

    void accepted(escqrs::SteadyTime now, escqrs::SteadyTime expires_at)
    {
        is_asking_ = false;
        expires_at_ = expires_at;
        next_ = renewal_time(now, expires_at);
        backoff_.reset();
    }

    void refused(escqrs::SteadyTime now)
    {
        is_asking_ = false;
        next_ = now + backoff_.next();
    }

    bool is_authorised(escqrs::SteadyTime now) const noexcept { return now < expires_at_; }

private:
    escqrs::Backoff backoff_;
    bool is_asking_ = false;
    escqrs::SteadyTime next_ = escqrs::SteadyTime::min();
    escqrs::SteadyTime expires_at_ = escqrs::SteadyTime::min();
};

} // namespace service_bus
