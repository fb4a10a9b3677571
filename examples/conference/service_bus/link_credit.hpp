// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/timestamp.hpp>

#include <cstddef>
#include <optional>
#include <utility>

namespace service_bus {

/// How many messages a receiving link wants, and how many the broker may still send. AMQP takes credit back by a drain only:
/// the broker sends what it has and drops the rest of the credit. Service Bus may answer a drain after seconds, or never.
/// @par Thread safety  none
class LinkCredit {
public:
    /// Wants so many messages more, and calls off a drain. @return the credit to grant
    std::size_t want(std::size_t messages) noexcept
    {
        wanted_ += messages;
        if (std::exchange(draining_, false)) drain_was_called_off_ = true;
        return grant();
    }

    /// Wants no more messages. @return how many it has wanted
    std::size_t want_none() noexcept { return std::exchange(wanted_, 0); }

    /// Begins a drain. @return false if one is under way
    bool drain(escqrs::SteadyTime now) noexcept
    {
        if (std::exchange(draining_, true)) return false;
        drain_asked_at_ = now;
        if (!silent_since_) silent_since_ = now;
        return true;
    }

    /// A delivery has come. @param outstanding  what the broker may still send
    void came(std::size_t outstanding) noexcept
    {
        outstanding_ = outstanding;
        silent_since_.reset();
        if (wanted_ > 0) --wanted_;
    }

    /// The broker has told its side of the credit. @return the credit to grant again, if the answer to a drain that was called
    /// off has taken it
    std::size_t flowed(std::size_t outstanding) noexcept
    {
        outstanding_ = outstanding;
        if (draining_ || !drain_was_called_off_ || wanted_ <= outstanding_) return 0;
        drain_was_called_off_ = false;
        silent_since_.reset();
        return grant();
    }

    /// True once for each drain that the broker has answered.
    bool take_drained() noexcept
    {
        if (!draining_ || outstanding_ > 0) return false;
        draining_ = false;
        silent_since_.reset();
        return true;
    }

    std::size_t wanted() const noexcept { return wanted_; }
    std::size_t outstanding() const noexcept { return outstanding_; }
    bool is_draining() const noexcept { return draining_; }
    /// Whether a drain that was asked for at this moment, or before, is not answered.
    bool is_draining_since(escqrs::SteadyTime moment) const noexcept { return draining_ && drain_asked_at_ <= moment; }
    /// Whether a drain was asked for at this moment, or before, and nothing has come from the broker since.
    bool is_silent_since(escqrs::SteadyTime moment) const noexcept { return silent_since_ && *silent_since_ <= moment; }

private:
    std::size_t grant() noexcept
    {
        const std::size_t missing = wanted_ > outstanding_ ? wanted_ - outstanding_ : 0;
        outstanding_ += missing;
        return missing;
    }

    std::size_t wanted_ = 0;
    std::size_t outstanding_ = 0;
    bool draining_ = false;
    bool drain_was_called_off_ = false; ///< and its answer may still come, and take credit
    escqrs::SteadyTime drain_asked_at_{};
    std::optional<escqrs::SteadyTime> silent_since_;
};

} // namespace service_bus
