// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "receive_calls.hpp"

#include <algorithm>
#include <iterator>
#include <string_view>
#include <utility>

// What the events of `receive_calls.cpp` lead to for calls and links.
namespace service_bus {
namespace {

using escqrs::SteadyTime;

constexpr std::string_view no_session_available = "com.microsoft:timeout";
constexpr std::string_view session_is_locked = "com.microsoft:session-cannot-be-locked";

} // namespace

// --- calls ---

void ReceiveCalls::count_arrival(Link& link, std::size_t outstanding)
{
    link.life.has_moved = true;
    link.credit.came(outstanding);
    keeper_.worked(link.life);
}

/// Gives what has come to the call of its link, or to another.
void ReceiveCalls::use_arrival(Link& link, bool is_useless, std::size_t outstanding, SteadyTime now)
{
    Call* const call = find(link.call);
    if (call == nullptr) {
        offer(now);
        return links_.close_if_unused(link, now);
    }
    if (is_useless && options_.takes_credit_back) call->share.give_back(1);
    collect(*call, links_.unclaimed.take(call->room(), std::vector{link.id}), now);
    if (options_.takes_credit_back) {
        if (link.credit.wanted() == 0 && outstanding == 0) return become_idle(link, call, now);
        links_.drain(link, now);
    }
    check(*call, now);
}

ReceiveCalls::Call* ReceiveCalls::find(std::optional<CallId> id)
{
    const auto found = id ? calls_.find(*id) : calls_.end();
    return found == calls_.end() ? nullptr : &found->second;
}

/// Does what the state of a call asks for.
void ReceiveCalls::check(Call& call, SteadyTime now)
{
    if (!call.is_concluding && options_.has_sessions) {
        claim(call, now);
        ask_fresh_sessions(call, now);
    }
    if (!call.is_concluding && call.messages.empty() && !links_.has_prospects(call.id)) recruit(call, now);
    if (!call.is_concluding && !call.messages.empty()) {
        if (call.room() == 0 || links_.count_of(call.id) == 0 || now >= call.linger_until) conclude(call, now);
        else wake_at(call, call.linger_until);
    }
    if (!call.is_concluding) return;
    const SteadyTime until = call.messages.empty() ? call.patience_end : call.linger_until;
    if (now >= until) leave_all(call, now);
    if (links_.count_of(call.id) == 0) finish(call, now);
    else wake_at(call, until);
}

void ReceiveCalls::wake_at(Call& call, SteadyTime moment)
{
    if (call.wakes_at && *call.wakes_at <= moment) return;
    call.wakes_at = moment;
    actions_.emplace_back(WakeAt{moment});
}

/// Sets links to work for a call.
void ReceiveCalls::recruit(Call& call, SteadyTime now)
{
    if (!is_connected_) return;
    links_.for_each([&](Link& link) {
        if (link.call || !links_.is_for_any_call(link) || (!options_.has_sessions && links_.count_of(call.id) > 0))
            return;
        if (link.in_hand == 0 && link.credit.is_silent_since(now - options_.operation_timeout)) {
            links_.detach(link, now); // for so long there was no answer: another link may do better
            return;
        }
        link.call = call.id;
        claim(call, now);
        if (link.is_open()) ask(link, call, now);
    });
    claim(call, now);
    if (!call.messages.empty() || links_.has_prospects(call.id)) return;
    if (options_.is_one_session && !links_.are_none())
        return; // another call has its link, or messages of it are in hand
    if (keeper_.may_attach(now)) attach(call, now);
    else wake_at(call, keeper_.not_before());
}

void ReceiveCalls::attach(const Call& call, SteadyTime now)
{
    std::optional<escqrs::Duration> session_wait;
    if (options_.has_sessions) {
        session_wait = std::clamp<escqrs::Duration>(time_until(call.deadline, now), std::chrono::milliseconds{1},
                                                    options_.operation_timeout);
    }
    links_.attach(call.id, session_wait, now);
}

/// Where there is one session there may be more.
void ReceiveCalls::accept_more(const Call& call, SteadyTime now)
{
    if (!options_.has_sessions || options_.is_one_session) return;
    for (int more = 2; more > 0 && keeper_.may_attach(now); --more) {
        const std::size_t unasked = links_.count_unasked();
        const bool is_enough = call.share.left() == 0 || unasked >= call.room();
        if (is_enough || links_.count_asked_of(call.id) + unasked >= options_.max_sessions) return;
        attach(call, now);
    }
}

/// Asks sessions of which nothing was asked yet. Those for which the call has no share wait until another one has had
/// less, or for another call.
void ReceiveCalls::ask_fresh_sessions(Call& call, SteadyTime now)
{
    links_.for_each([&](Link& link) {
        if (link.call || !link.is_fresh_session()) return;
        if (call.share.left() == 0 && call.messages.empty()) take_back_default_credit(call, now);
        if (call.share.left() == 0) return;
        link.call = call.id;
        ask(link, call, now);
    });
}

/// Asks a link for its share of what the call wants.
void ReceiveCalls::ask(Link& link, Call& call, SteadyTime now)
{
    if (!options_.takes_credit_back) {
        const std::size_t on_its_way = link.credit.wanted() + links_.unclaimed.size();
        const std::size_t wanted = call.room() + options_.prefetch;
        if (wanted > on_its_way) links_.want(link, wanted - on_its_way);
        return;
    }
    if (call.room() == 0) return;
    std::size_t messages = call.share.take();
    while ((!link.has_session() || options_.is_one_session) && call.share.left() > 0) messages += call.share.take();
    links_.want(link, messages);
    call.linger_until = later_by(now, options_.linger);
    accept_more(call, now);
}

/// Gives a call what has come already, over its own links and over those that are free.
void ReceiveCalls::claim(Call& call, SteadyTime now)
{
    if (links_.unclaimed.empty()) return;
    std::vector<LinkId> sources;
    links_.for_each([&](const Link& link) {
        if (link.call == call.id || links_.is_free(link)) sources.push_back(link.id);
    });
    auto claimed = links_.unclaimed.take(call.room(), sources);
    if (options_.takes_credit_back) call.share.use(claimed.size());
    collect(call, std::move(claimed), now);
}

void ReceiveCalls::collect(Call& call, std::vector<ArrivedMessage> messages, SteadyTime now)
{
    if (messages.empty()) return;
    std::ranges::move(messages, std::back_inserter(call.messages));
    call.linger_until = later_by(now, options_.linger);
}

/// Offers what no call has claimed to those that wait.
void ReceiveCalls::offer(SteadyTime now)
{
    for_each_call([&](Call& call) {
        if (call.is_concluding || links_.unclaimed.empty()) return;
        const std::size_t before = call.messages.size();
        claim(call, now);
        if (call.messages.size() > before) check(call, now);
    });
}

/// Lets a call end: it asks for nothing more. One that has nothing waits for what may be on its way.
void ReceiveCalls::conclude(Call& call, SteadyTime now)
{
    if (std::exchange(call.is_concluding, true)) return;
    call.patience_end = later_by(now, drain_patience);
    links_.for_each_of(call.id, [&](Link& link) {
        if (!link.is_open()) {
            // A broker that lets us wait for a session will answer now, and the attach to a queue in its own time.
            const bool may_answer = !link.has_session() || now >= call.deadline;
            if (link.has_session() && may_answer) keeper_.waits_for_session();
            leave(link, call, now);
        } else if (options_.takes_credit_back) {
            links_.drain(link, now);
        } else {
            leave(link, call, now);
        }
    });
    if (!call.messages.empty()) leave_all(call, now);
}

/// Ends the work of a link for its call.
void ReceiveCalls::leave(Link& link, Call& call, SteadyTime now)
{
    ReceiveLinks::release(link, now);
    if (options_.takes_credit_back) call.share.give_back(link.credit.want_none());
}

/// Lets the links continue without the call: the broker answers a drain in its own time.
void ReceiveCalls::leave_all(Call& call, SteadyTime now)
{
    links_.for_each_of(call.id, [&](Link& link) {
        leave(link, call, now);
        links_.close_if_unused(link, now);
    });
}

void ReceiveCalls::finish(Call& call, SteadyTime now)
{
    HandOut result{.call = call.id, .messages = {}, .error = std::move(call.error)};
    for (ArrivedMessage& message : call.messages) result.messages.push_back(std::move(message.received));
    calls_.erase(call.id);
    std::ranges::stable_sort(result.messages, {}, &ReceivedMessage::sequence_number);
    if (result.messages.empty() && result.error.empty() && !keeper_.may_attach(now)) result.error = keeper_.problem();
    actions_.emplace_back(std::move(result));
}

// --- links ---

/// A session that was accepted has a message; what was asked of the default session may never come.
void ReceiveCalls::take_back_default_credit(Call& call, SteadyTime now)
{
    links_.for_each_of(call.id, [&](Link& link) {
        if (!links_.is_default_session(link) || link.credit.wanted() == 0) return;
        call.share.give_back(link.credit.want_none());
        links_.drain(link, now);
    });
}

/// No more messages come over a link: its credit is used up, or there are none.
void ReceiveCalls::become_idle(Link& link, Call* call, SteadyTime now)
{
    if (call != nullptr) leave(link, *call, now);
    if (call != nullptr && !call->is_concluding && link.life.has_moved) accept_more(*call, now);
    links_.close_if_unused(link, now);
    if (call != nullptr) check(*call, now);
}

/// Whether a session that the broker says is held may be held by a link that we have let go or lost: the broker may
/// take its time to notice.
bool ReceiveCalls::may_be_ours(SteadyTime now)
{
    if (!links_.last_let_go) return false;
    return now < later_by(*links_.last_let_go, options_.operation_timeout);
}

void ReceiveCalls::end_link(LinkId id, const Condition& why, SteadyTime now)
{
    const Link link = links_.take_out(id);
    if (!is_connected_) links_.last_let_go = now;
    Call* const call = find(link.call);
    if (call != nullptr && options_.takes_credit_back) call->share.give_back(link.credit.wanted());
    for_each_call([&](Call& each) {
        std::erase_if(each.messages, [&](const ArrivedMessage& message) { return message.link == id; });
    });
    if (is_connected_ && link.has_session() && !link.is_open() && why.name == no_session_available) {
        keeper_.no_session(link.life, *link.session_wait, now);
    } else if (is_connected_ && link.is_fresh_session() && is_lock_lost(why)) {
        actions_.emplace_back(Report{to_text(why)}); // it lay unused: this says nothing of links
    } else if (is_connected_) {
        const LinkKeeper::Step step = keeper_.ended(link.life, why, now);
        actions_.emplace_back(Report{to_text(why)});
        if (step.renew_tokens) {
            is_connected_ = false;
            actions_.emplace_back(RenewTokens{});
        }
        if (step.recovery == Recovery::reconnect) {
            is_connected_ = false;
            actions_.emplace_back(Reconnect{to_text(why)});
        }
        const bool is_held = options_.is_one_session && why.name == session_is_locked;
        const bool is_final = step.recovery == Recovery::fail || (is_held && !may_be_ours(now));
        if (is_final && call != nullptr && !call->is_concluding) {
            call->error = to_text(why);
            conclude(*call, now);
        }
    }
    if (call != nullptr) check(*call, now);
}

} // namespace service_bus
