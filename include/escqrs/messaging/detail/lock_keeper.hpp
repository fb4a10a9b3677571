// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/clock.hpp>
#include <escqrs/core/error.hpp>
#include <escqrs/messaging/any_message_queue.hpp>

#include <algorithm>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

namespace escqrs::inline v0::detail {

/// Keeps the locks of a batch during its handling: renews them when half of their time is over.
///
/// A lock that is lost all the same does no harm: the message is delivered again, as a duplicate.
/// @par Thread safety  none
class LockKeeper {
public:
    /// @param messages  just received; must outlive the keeper
    LockKeeper(AnyMessageReceiver receiver, std::span<ReceivedMessage> messages, const Clock& clock)
        : receiver_{std::move(receiver)}, messages_{messages}, clock_{&clock}, lost_(messages.size(), false)
    {
        for (const ReceivedMessage& message : messages_) lock_ends_.push_back(end_of(message));
        plan();
    }

    bool is_due() const { return clock_->steady() >= renew_at_; }

    /// Renews the locks if it is time. Call it often, and never within a transaction: it may wait for the broker.
    void renew_if_due()
    {
        if (!is_due()) return;
        for (std::size_t index = 0; index < messages_.size(); ++index) {
            if (!lost_[index] && !is_renewed_with_its_session(index)) renew(index);
        }
        plan();
    }

    bool is_lost(std::size_t index) const { return lost_[index] || messages_[index].lock_lost.stop_requested(); }

private:
    /// The lock of a message with a session is the session's: the first of a session's messages renews it for all.
    bool is_renewed_with_its_session(std::size_t index)
    {
        auto& message = messages_[index];
        if (message.message.session_id.empty()) return false;
        for (std::size_t earlier = 0; earlier < index; ++earlier) {
            if (messages_[earlier].message.session_id != message.message.session_id) continue;
            message.locked_until = messages_[earlier].locked_until;
            lock_ends_[index] = lock_ends_[earlier];
            lost_[index] = lost_[earlier];
            return true;
        }
        return false;
    }

    void renew(std::size_t index)
    {
        try {
            receiver_.renew_lock(messages_[index]);
            lock_ends_[index] = end_of(messages_[index]);
        } catch (const MessageLockLost&) {
            lost_[index] = true;
        } catch (const TransportError&) { // tried again for as long as the lock holds
            lost_[index] = clock_->steady() >= lock_ends_[index];
        }
    }

    /// The lock's end on the clock that is never set. The queue names it as a time of day, which is right when it does.
    SteadyTime end_of(const ReceivedMessage& message) const
    {
        return later_by(clock_->steady(), time_until(message.locked_until, clock_->now()));
    }

    void plan()
    {
        const SteadyTime now = clock_->steady();
        renew_at_ = SteadyTime::max();
        for (std::size_t index = 0; index < messages_.size(); ++index) {
            if (lost_[index]) continue;
            renew_at_ = std::min(renew_at_, now + time_until(lock_ends_[index], now) / 2);
        }
    }

    AnyMessageReceiver receiver_;
    std::span<ReceivedMessage> messages_;
    const Clock* clock_;
    std::vector<bool> lost_;
    std::vector<SteadyTime> lock_ends_;
    SteadyTime renew_at_{};
};

} // namespace escqrs::inline v0::detail
