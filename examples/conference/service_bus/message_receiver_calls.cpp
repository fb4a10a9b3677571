// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

// What becomes of calls of `receive`, and of the links that work for them.
#include "message_receiver.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

namespace service_bus {
namespace {

constexpr std::string_view no_session_available = "com.microsoft:timeout";

} // namespace

void MessageReceiver::on_ready()
{
    for (const CallPointer& call : std::vector{calls_}) recruit(call);
}

void MessageReceiver::on_lost(const Condition& /*why*/)
{
    keeper_.connection_lost();
    renewer_.connection_lost();
    attached_ = false;
}

/// Sets links to work for a call that has none.
void MessageReceiver::recruit(const CallPointer& call)
{
    if (call->is_done || call->is_concluding || call->links > 0 || !connection_->is_ready()) return;
    bool is_accepting = false;
    for (auto at = links_.begin(); at != links_.end();) {
        ReceiveLink& link = **at++;
        if (!is_adoptable(link)) continue;
        is_accepting |= options_.sessions && !link.is_open();
        if (link.unsettled == 0 && link.is_silent_since(connection_->now() - connection_options().operation_timeout)) {
            close(link); // for so long there was no answer: another link may do better
            continue;
        }
        link.call = call.get();
        link.is_waiting = true;
        ++call->links;
        ++call->waiting;
        claim(call);
        if (link.is_open()) ask_all(link);
        if (!options_.sessions) return check(call);
    }
    claim(call);
    if (!call->messages.empty()) check(call);
    if (call->is_concluding || is_accepting) return;
    if (!keeper_.may_attach(connection_->now())) return check_at(keeper_.not_before(), call);
    ReceiveLinkOwner& owner = *this;
    if (options_.sessions) accept_sessions(call, 1);
    else enlist(call, std::make_unique<ReceiveLink>(*connection_, address_, owner));
}

void MessageReceiver::check_at(escqrs::SteadyTime moment, const CallPointer& call)
{
    connection_->at(
        moment, [this, call] { check(call); }, this);
}

/// Messages without a session, and those of the session that stands for none, are independent of each other: their link may
/// hand out more while some are held.
bool MessageReceiver::is_adoptable(const ReceiveLink& link) const
{
    // An attach that is not answered yet may be for any call.
    const bool is_shared = !options_.sessions || !link.is_open() || link.session_id() == options_.default_session;
    return is_shared && link.call == nullptr;
}

void MessageReceiver::accept_sessions(const CallPointer& call, std::size_t more)
{
    if (!keeper_.may_attach(connection_->now())) return;
    const escqrs::Duration wait =
        std::clamp<escqrs::Duration>(time_until(call->deadline, connection_->now()), std::chrono::milliseconds{1},
                                     connection_options().operation_timeout);
    ReceiveLinkOwner& owner = *this;
    for (; more > 0 && call->share.left() > 0 && call->links < options_.max_sessions; --more)
        enlist(call, std::make_unique<ReceiveLink>(*connection_, address_, wait, owner));
}

void MessageReceiver::enlist(const CallPointer& call, std::unique_ptr<ReceiveLink> link)
{
    link->call = call.get();
    link->is_waiting = true;
    ++call->links;
    ++call->waiting;
    links_.push_back(std::move(link));
}

/// Asks for the call's whole share of what the link has.
void MessageReceiver::ask_all(ReceiveLink& link)
{
    if (keeps_credit()) {
        const std::size_t missing = link.call->at_most - std::min(link.call->at_most, link.call->messages.size());
        const std::size_t wanted = missing + options_.prefetch;
        const std::size_t on_its_way = link.credit() + unclaimed_.size();
        if (wanted > on_its_way) link.ask(wanted - on_its_way);
        return;
    }
    std::size_t credit = 0;
    do credit += link.call->share.take();
    while (!link.has_session() && link.call->share.left() > 0);
    link.ask(credit);
}

void MessageReceiver::on_link_open(ReceiveLink& link)
{
    keeper_.attached();
    note_health();
    const CallPointer call = call_of(link);
    if (!call) return close_if_unused(link);
    link.locked_at = connection_->now();
    put_lock(link, end_of_lock(link.locked_until));
    link.renew_until = later_by(link.locked_at, options_.max_lock_renewal);
    if (call->share.left() == 0) { // others have found enough meanwhile
        leave(link);
        close_if_unused(link);
        return check(call);
    }
    ask_all(link);
    call->linger_until = later_by(connection_->now(), options_.linger);
    if (options_.sessions) accept_sessions(call, 2); // where there is one there may be more
}

void MessageReceiver::on_link_idle(ReceiveLink& link)
{
    const CallPointer call = call_of(link);
    if (!call) return note_drained();
    leave(link);
    close_if_unused(link);
    check(call);
}

void MessageReceiver::leave(ReceiveLink& link)
{
    if (!keeps_credit()) link.call->share.give_back(link.withdraw_credit());
    stop_waiting(link);
    --link.call->links;
    link.call = nullptr;
}

void MessageReceiver::stop_waiting(ReceiveLink& link)
{
    if (std::exchange(link.is_waiting, false)) --link.call->waiting;
}

void MessageReceiver::check(const CallPointer& call)
{
    if (call->is_done) return;
    if (call->is_concluding) {
        if (call->links == 0) finish(call);
        else if (!call->messages.empty()) linger(call);
    } else if (call->is_full()) {
        conclude(call);
    } else if (!call->messages.empty()) {
        if (call->links == 0) return conclude(call);
        linger(call);
    } else if (call->links == 0) {
        recruit(call);
    }
}

/// Waits a little for further messages and sessions; each that comes extends the wait.
void MessageReceiver::linger(const CallPointer& call)
{
    if (std::exchange(call->is_lingering, true)) return;
    const auto look = [this, call] {
        call->is_lingering = false;
        if (call->is_done) return;
        if (connection_->now() < call->linger_until) return linger(call);
        if (call->is_concluding) leave_all(call);
        else conclude(call);
    };
    connection_->at(call->linger_until, look, this);
}

/// Has the links go on without the call: the broker answers a drain in its own time.
void MessageReceiver::leave_all(const CallPointer& call)
{
    for (auto at = links_.begin(); at != links_.end();) {
        ReceiveLink& link = **at++;
        if (link.call != call.get()) continue;
        leave(link);
        close_if_unused(link);
    }
    check(call);
}

/// Lets the call end: withdraws what it has asked for. One that has nothing waits for what may be on its way.
void MessageReceiver::conclude(const CallPointer& call)
{
    if (call->is_done || std::exchange(call->is_concluding, true)) return;
    bool must_wait = false;
    for (auto at = links_.begin(); at != links_.end();) {
        ReceiveLink& link = **at++;
        if (link.call != call.get()) continue;
        if (keeps_credit() && link.is_open()) {
            leave(link);
        } else if (!link.is_open()) {
            // A broker that lets us wait for a session will answer now, and for the attach to a queue in its own time.
            const bool may_answer = !link.has_session() || connection_->now() >= call->deadline;
            if (link.has_session() && may_answer) keeper_.attached();
            note_health();
            leave(link);
            if (!may_answer) close(link);
        } else {
            link.drain(connection_->now());
            must_wait = true;
        }
    }
    if (!must_wait) return check(call);
    if (!call->messages.empty()) return leave_all(call);
    const auto give_up = [this, call] {
        if (!call->is_done) leave_all(call);
    };
    connection_->at(connection_->now() + drain_patience, give_up, this);
}

void MessageReceiver::finish(const CallPointer& call)
{
    std::erase(calls_, call);
    std::erase_if(call->messages, [this](const auto& message) { return !held_.contains(message.lock_token); });
    std::ranges::stable_sort(call->messages, {}, &escqrs::ReceivedMessage::sequence_number);
    if (call->messages.empty() && call->error.empty() && !connection_->is_ready()) {
        call->error = connection_->health().last_error;
        if (call->error.empty()) call->error = "not connected yet";
    }
    if (call->messages.empty() && call->error.empty() && !keeper_.may_attach(connection_->now()))
        call->error = keeper_.problem();
    {
        const std::scoped_lock lock{mutex_};
        call->is_done = true;
    }
    changed_.notify_all();
}

void MessageReceiver::on_link_closed(ReceiveLink& link, const Condition& why)
{
    for (HeldMessage* const held : held_.of(link)) {
        held->lock_lost.request_stop();
        // The broker may have done it before the link was gone. Once the lock was lost, it has not.
        const bool is_unknown = held->settle_call != nullptr && !is_lock_lost(why);
        resolve(*held, escqrs::SettlementResult::lock_lost, is_unknown ? to_text(why) : std::string{});
    }
    const CallPointer call = call_of(link);
    if (call) leave(link);
    else note_drained();
    const LinkLife life = link.life();
    const escqrs::Duration accept_wait = link.accept_wait();
    const bool is_refused_accept = link.has_session() && !life.attached_at;
    close(link);
    if (!connection_->is_ready()) {
        if (call) check(call);
    } else if (is_refused_accept && why.name == no_session_available) {
        keeper_.no_session(life, accept_wait, connection_->now());
        note_health();
        if (call) check(call);
    } else {
        react_to_end(life, why, call);
    }
}

void MessageReceiver::react_to_end(const LinkLife& life, const Condition& why, const CallPointer& call)
{
    connection_->note_error("'" + address_ + "': " + to_text(why));
    const LinkKeeper::Step step = keeper_.ended(life, why, connection_->now());
    note_health();
    if (step.renew_tokens) connection_->renew_tokens();
    if (step.recovery == Recovery::reconnect) return connection_->drop(to_text(why));
    if (!call) return;
    if (step.recovery == Recovery::fail && !call->is_concluding) {
        call->error = to_text(why);
        return conclude(call);
    }
    check(call);
}

/// Gives up links whose attach is not answered in time.
void MessageReceiver::watch_links(escqrs::SteadyTime now)
{
    for (auto at = links_.begin(); at != links_.end();) {
        ReceiveLink& link = **at++;
        if (const auto why = keeper_.overdue(link.life(), link.accept_wait(), false, now)) {
            on_link_closed(link, *why);
            break; // the others may have gone with it
        }
    }
    note_health();
}

MessageReceiver::CallPointer MessageReceiver::call_of(const ReceiveLink& link) const
{
    const auto found = std::ranges::find(calls_, link.call, &CallPointer::get);
    return found == calls_.end() ? nullptr : *found;
}

} // namespace service_bus
