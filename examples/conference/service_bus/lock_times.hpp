// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/timestamp.hpp>

#include <algorithm>
#include <chrono>
#include <optional>

namespace service_bus {

/// A moment by both of this machine's clocks: the steady one, and the time of day, which may be wrong.
struct Moment {
    escqrs::SteadyTime steady;
    escqrs::Timestamp time_of_day;
};

/// How long a lock lasts that was taken or renewed just now.
struct TimeLeft {
    escqrs::Duration surely;  ///< renew it within this time
    escqrs::Duration at_most; ///< after this time it is over

    friend bool operator==(const TimeLeft&, const TimeLeft&) = default;
};

/// Works out how long locks last on this machine.
///
/// The broker names the end of a lock by its own time of day. Where this machine's time of day is wrong, a lock would
/// seem to be over when it arrives, or to last for hours. Messages tell more: the broker enqueued each before it locked
/// it, so its clock had reached that time. Where the clocks still disagree, the bounds of all locks are used instead.
/// @par Thread safety  none
class LockTimes {
public:
    /// Learns from a message that has just come.
    /// @param locked_until  the end of its lock, or of its session's
    void saw_enqueued(escqrs::Timestamp enqueued_at, escqrs::Timestamp locked_until, escqrs::SteadyTime now) noexcept
    {
        if (enqueued_at > locked_until || (broker_ && enqueued_at <= broker_time(now))) return;
        broker_ = Moment{.steady = now, .time_of_day = enqueued_at};
    }

    /// The longest that a message's own lock can last: the broker took it after it had enqueued the message. This says
    /// nothing of other locks, not even of the same one once it is renewed, since the lock duration of a queue may be
    /// raised at any time.
    static escqrs::Duration longest_for(escqrs::Timestamp locked_until, escqrs::Timestamp enqueued_at) noexcept
    {
        if (enqueued_at > locked_until) return longest; // one of the two is nonsense
        return std::clamp(difference(locked_until, enqueued_at), shortest, longest);
    }

    /// @param at_most  that the lock can last
    TimeLeft left(escqrs::Timestamp locked_until, const Moment& now, escqrs::Duration at_most = longest) const noexcept
    {
        if (locked_until == escqrs::Timestamp::max()) return {escqrs::Duration::max(), escqrs::Duration::max()};
        const escqrs::Duration seeming = difference(locked_until, latest(now));
        if (seeming < shortest || seems_wrong(seeming)) return {shortest, at_most};
        return {std::min(seeming, at_most), std::min(seeming, at_most)};
    }

    /// Whether a lock that was taken just now shows that this machine's time of day is wrong.
    static bool disagrees(escqrs::Timestamp locked_until, const Moment& now) noexcept
    {
        return locked_until != escqrs::Timestamp::max() && seems_wrong(difference(locked_until, now.time_of_day));
    }

    /// Whether messages show that this machine's time of day is behind the broker's, by so much that a lock could be
    /// renewed too late.
    bool is_behind(const Moment& now) const noexcept { return difference(latest(now), now.time_of_day) > tolerance; }

private:
    /// The bounds of a Service Bus queue's lock duration.
    static constexpr escqrs::Duration shortest = std::chrono::seconds{5};
    static constexpr escqrs::Duration longest = std::chrono::minutes{5};
    /// Locks are renewed so long before their end.
    static constexpr escqrs::Duration tolerance = std::chrono::seconds{10};

    static bool seems_wrong(escqrs::Duration seeming) noexcept
    {
        return seeming <= escqrs::Duration::zero() || seeming > longest + std::chrono::minutes{1};
    }

    static escqrs::Duration difference(escqrs::Timestamp to, escqrs::Timestamp from) noexcept
    {
        return to >= from ? escqrs::time_until(to, from) : -escqrs::time_until(from, to);
    }

    /// The broker's time of day is this or later, by a clock that is never set.
    escqrs::Timestamp broker_time(escqrs::SteadyTime now) const noexcept
    {
        return escqrs::later_by(broker_->time_of_day, time_until(now, broker_->steady));
    }
    escqrs::Timestamp latest(const Moment& now) const noexcept
    {
        return broker_ ? std::max(broker_time(now.steady), now.time_of_day) : now.time_of_day;
    }

    /// The steady clock's time, and the broker's time of day at least.
    std::optional<Moment> broker_;
};

} // namespace service_bus
