// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "link_keeper.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace service_bus {
namespace {

/// A link that stays attached for so long was of use.
constexpr std::chrono::seconds proving_time{2};
/// The pause after an accept that the broker refused early, and after a session whose lock is lost.
constexpr std::chrono::milliseconds least_pause{100};

constexpr const char* attach_unanswered = "the broker does not answer the attach";
constexpr const char* no_credit = "the broker gives the link no credit";

} // namespace

bool LinkLife::has_worked(escqrs::SteadyTime now) const noexcept
{
    return has_moved || (attached_at && now - *attached_at >= proving_time);
}

LinkKeeper::LinkKeeper(escqrs::Backoff backoff, escqrs::Duration patience)
    : backoff_{std::move(backoff)}, patience_{patience}
{
}

void LinkKeeper::attached() noexcept
{
    if (state_ != LinkState::failing) state_ = LinkState::working;
}

void LinkKeeper::waits_for_session() noexcept
{
    if (state_ == LinkState::unknown) state_ = LinkState::waiting;
}

void LinkKeeper::worked(const LinkLife& life)
{
    if (life.asked_at >= failed_at_) reset();
}

void LinkKeeper::reset()
{
    state_ = LinkState::working;
    problem_.clear();
    backoff_.reset();
    unanswered_ = 0;
    has_renewed_tokens_ = false;
    lost_lock_at_.reset();
}

LinkKeeper::Step LinkKeeper::ended(const LinkLife& life, const Condition& why, escqrs::SteadyTime now)
{
    no_credit_since_.reset();
    // Links that were attached together fail together: that is one failure.
    const bool is_another = life.asked_at >= failed_at_;
    escqrs::Duration pause = escqrs::Duration::zero();
    if (life.has_worked(now) && why.description != no_credit) {
        reset();
    } else if (is_lock_lost(why) &&
               (!lost_lock_at_ || life.asked_at < *lost_lock_at_)) { // the session failed, not the link
        if (!lost_lock_at_) lost_lock_at_ = now;
        pause = least_pause;
    } else {
        state_ = LinkState::failing;
        problem_ = to_text(why);
        if (is_another) pause = backoff_.next();
        failed_at_ = now;
    }
    pause = std::max(pause, least_delay_for(why.name));
    not_before_ = std::max(not_before_, later_by(now, pause));

    Step step;
    switch (recovery_for(why.name, ConditionSource::broker)) {
    case Recovery::fail:
        if (!is_lock_lost(why)) step.recovery = Recovery::fail;
        break;
    case Recovery::reconnect: step.recovery = Recovery::reconnect; break;
    case Recovery::put_token_and_retry_once:
        step.renew_tokens = true;
        if (std::exchange(has_renewed_tokens_, !has_renewed_tokens_)) step.recovery = Recovery::fail;
        break;
    case Recovery::retry_on_link:
    case Recovery::reattach_link: break;
    }
    // The second time, the connection itself may be at fault.
    if (life.attached_at) unanswered_ = 0;
    if (why.description == attach_unanswered && is_another && ++unanswered_ > 1) step.recovery = Recovery::reconnect;
    return step;
}

void LinkKeeper::no_session(const LinkLife& life, escqrs::Duration wait, escqrs::SteadyTime now)
{
    reset();
    state_ = LinkState::waiting;
    if (now < later_by(life.asked_at, wait)) not_before_ = std::max(not_before_, later_by(now, least_pause));
}

void LinkKeeper::connection_lost() noexcept
{
    if (state_ != LinkState::failing) state_ = LinkState::unknown;
    not_before_ = escqrs::SteadyTime::min();
    no_credit_since_.reset();
    unanswered_ = 0;
}

std::optional<Condition> LinkKeeper::overdue(const LinkLife& life, escqrs::Duration allowance, bool waits_for_credit,
                                             escqrs::SteadyTime now)
{
    if (!life.attached_at) {
        if (now < later_by(later_by(life.asked_at, allowance), patience_)) return std::nullopt;
        return Condition{"", attach_unanswered};
    }
    if (!waits_for_credit) {
        if (life.has_worked(now)) worked(life);
        no_credit_since_.reset();
        return std::nullopt;
    }
    if (!no_credit_since_) no_credit_since_ = now;
    if (now - *no_credit_since_ < patience_) return std::nullopt;
    return Condition{"", no_credit};
}

} // namespace service_bus
