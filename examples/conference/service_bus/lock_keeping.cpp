// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "lock_keeping.hpp"

#include "lock_renewal.hpp"

#include <escqrs/core/timestamp.hpp>

#include <algorithm>
#include <chrono>

namespace service_bus {
namespace {

/// Between attempts to renew a lock that may be over.
constexpr std::chrono::seconds renewal_pause{1};

} // namespace

LockKeeping::Lock LockKeeping::taken(escqrs::Timestamp locked_until, const TimeLeft& left, const Moment& now) const
{
    return {.broker_end = locked_until,
            .locked_until = escqrs::later_by(now.time_of_day, left.surely),
            .since = now.steady,
            .renew_by = later_by(now.steady, left.surely),
            .end = later_by(now.steady, left.at_most),
            .renew_until = later_by(now.steady, max_renewal_)};
}

void LockKeeping::took_session(LinkId link, const std::string& session_id, escqrs::Timestamp locked_until,
                               const Moment& now)
{
    compare_clocks("session '" + session_id + "' was accepted", locked_until, now);
    locks_[link] = taken(locked_until, times_.left(locked_until, now), now);
}

void LockKeeping::took_message(escqrs::ReceivedMessage& received, const Moment& now)
{
    times_.saw_enqueued(received.enqueued_at, received.locked_until, now.steady);
    compare_clocks("message '" + received.message.message_id + "' came", received.locked_until, now);
    const escqrs::Duration longest = LockTimes::longest_for(received.locked_until, received.enqueued_at);
    const Lock lock = taken(received.locked_until, times_.left(received.locked_until, now, longest), now);
    received.locked_until = lock.locked_until;
    locks_[received.lock_token] = lock;
}

void LockKeeping::took_message_of(LinkId link, escqrs::ReceivedMessage& received, const Moment& now)
{
    const auto found = locks_.find(link);
    if (found == locks_.end()) return;
    Lock& lock = found->second;
    times_.saw_enqueued(received.enqueued_at, lock.broker_end, now.steady);
    if (times_.is_behind(now)) {
        note_clock_problem("message '" + received.message.message_id + "' came at " +
                           escqrs::to_rfc3339(now.time_of_day) + " and was enqueued at " +
                           escqrs::to_rfc3339(received.enqueued_at) + " by the broker's clock");
    }
    // The message may show that the lock ends sooner than it seemed to.
    const Lock seen = taken(lock.broker_end, times_.left(lock.broker_end, now), now);
    lock.locked_until = std::min(lock.locked_until, seen.locked_until);
    lock.renew_by = std::min(lock.renew_by, seen.renew_by);
    lock.end = std::min(lock.end, seen.end);
    lock.renew_until = seen.renew_until;
    received.locked_until = lock.locked_until;
}

escqrs::Timestamp LockKeeping::renewed(const LockName& name, escqrs::Timestamp locked_until, const Moment& now)
{
    Lock lock = taken(locked_until, times_.left(locked_until, now), now);
    if (const auto found = locks_.find(name); found != locks_.end()) {
        lock.renew_until = found->second.renew_until;
        found->second = lock;
    }
    return lock.locked_until;
}

void LockKeeping::not_renewed(const LockName& name, bool is_lost, escqrs::SteadyTime now)
{
    const auto found = locks_.find(name);
    if (found == locks_.end()) return;
    Lock& lock = found->second;
    lock.is_renewing = false;
    lock.since = now;
    if (is_lost) lock.renew_until = escqrs::SteadyTime::min();
    else lock.renew_by = std::max(lock.renew_by, later_by(now, renewal_pause));
}

LockKeeping::Actions LockKeeping::tick(escqrs::SteadyTime now)
{
    Actions actions;
    for (auto& [name, lock] : locks_) {
        if (lock.is_over) continue;
        if (now >= lock.end) {
            lock.is_over = true;
            actions.emplace_back(Over{name});
        } else if (!lock.is_renewing) {
            const auto due = next_renewal(lock.since, lock.renew_by, lock.renew_until);
            lock.is_renewing = due && *due <= now;
            if (lock.is_renewing) actions.emplace_back(Renew{name});
        }
    }
    return actions;
}

/// The broker's answers decide whose a message is, not the clocks; a wrong one is reported all the same.
void LockKeeping::compare_clocks(const std::string& what, escqrs::Timestamp locked_until, const Moment& now)
{
    if (!LockTimes::disagrees(locked_until, now) && !times_.is_behind(now)) {
        clocks_agree_ = true;
        return;
    }
    note_clock_problem(what + " at " + escqrs::to_rfc3339(now.time_of_day) + " with a lock until " +
                       escqrs::to_rfc3339(locked_until) + " by the broker's clock");
}

void LockKeeping::note_clock_problem(const std::string& text)
{
    if (std::exchange(clocks_agree_, false)) clock_problem_ = text + ": do the clocks agree?";
}

} // namespace service_bus
