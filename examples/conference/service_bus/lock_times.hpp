// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/timestamp.hpp>

#include <algorithm>
#include <chrono>

namespace service_bus {

/// What a lock has left that was got or renewed just now.
struct TimeLeft {
    escqrs::Duration surely;  ///< it is to be renewed within this
    escqrs::Duration at_most; ///< after this it is over

    friend bool operator==(const TimeLeft&, const TimeLeft&) = default;
};

/// How long locks last on this machine. The broker names a lock's end by its own time of day; where this machine's is wrong, a
/// lock would seem over when it comes, or to last for hours. Then what is known of all locks takes the place of the difference.
/// @par Thread safety  none
class LockTimes {
public:
    /// Learns from a message, whose lock the broker took after it had enqueued the message.
    void saw(escqrs::Timestamp locked_until, escqrs::Timestamp enqueued_at) noexcept
    {
        longest_ = std::clamp(difference(locked_until, enqueued_at), shortest, longest_);
    }

    TimeLeft left(escqrs::Timestamp locked_until, escqrs::Timestamp time_of_day) const noexcept
    {
        if (locked_until == escqrs::Timestamp::max()) return {escqrs::Duration::max(), escqrs::Duration::max()};
        const escqrs::Duration seeming = difference(locked_until, time_of_day);
        if (seeming < shortest || clocks_disagree(locked_until, time_of_day)) return {shortest, longest_};
        return {std::min(seeming, longest_), std::min(seeming, longest_)};
    }

    /// Whether the time of day must be wrong.
    static bool clocks_disagree(escqrs::Timestamp locked_until, escqrs::Timestamp time_of_day) noexcept
    {
        if (locked_until == escqrs::Timestamp::max()) return false;
        const escqrs::Duration seeming = difference(locked_until, time_of_day);
        return seeming <= escqrs::Duration::zero() || seeming > longest + std::chrono::minutes{1};
    }

private:
    /// The bounds of a Service Bus queue's lock duration.
    static constexpr escqrs::Duration shortest = std::chrono::seconds{5};
    static constexpr escqrs::Duration longest = std::chrono::minutes{5};

    static escqrs::Duration difference(escqrs::Timestamp to, escqrs::Timestamp from) noexcept
    {
        return to >= from ? escqrs::time_until(to, from) : -escqrs::time_until(from, to);
    }

    escqrs::Duration longest_ = longest;
};

} // namespace service_bus
