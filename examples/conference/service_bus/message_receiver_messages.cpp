// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

// What becomes of messages that have come, and of their locks.
#include "lock_renewal.hpp"
#include "lock_token.hpp"
#include "message_receiver.hpp"

#include <escqrs/error.hpp>

#include <proton/delivery.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <utility>

namespace service_bus {
namespace {

/// How long messages that came after the end of their call are kept for the next one.
constexpr std::chrono::seconds patience_with_unclaimed{1};
constexpr std::size_t most_counted_deliveries = 100'000;

} // namespace

void MessageReceiver::on_message(ReceiveLink& link, pn_delivery_t* delivery, const std::vector<char>& bytes)
{
    pn_delivery_set_context(delivery, nullptr);
    keeper_.worked(link.life());
    note_health();
    const CallPointer call = call_of(link);
    if (link.is_ending) return give_back(link, delivery);
    auto received = take(link, delivery, bytes);
    if (received) unclaimed_.add(std::move(*received), &link, connection_->now());
    else if (call && !keeps_credit()) call->share.give_back(1);
    if (!call) return; // it is for the next one
    hand_over(call, unclaimed_.take(call->at_most - call->messages.size(), std::vector<const void*>{&link}));
    if (keeps_credit()) return check(call);
    stop_waiting(link);
    if (link.credit() == 0 && link.outstanding() == 0) return on_link_idle(link);
    link.drain(connection_->now());
    check(call);
}

/// It took credit, and brought nothing.
void MessageReceiver::on_aborted(ReceiveLink& link)
{
    const CallPointer call = call_of(link);
    if (call && !keeps_credit()) call->share.give_back(1);
    if (link.credit() == 0 && link.outstanding() == 0) on_link_idle(link);
}

void MessageReceiver::hand_over(const CallPointer& call, std::vector<escqrs::ReceivedMessage> messages)
{
    if (messages.empty()) return;
    std::ranges::move(messages, std::back_inserter(call->messages));
    call->linger_until = later_by(connection_->now(), options_.linger);
}

/// Gives a call what has come already: over its own links, and of sessions of which nothing else is in hand.
void MessageReceiver::claim(const CallPointer& call)
{
    if (unclaimed_.empty()) return;
    std::vector<const void*> sources;
    for (const auto& link : links_) {
        const bool is_free = link->call == nullptr && link->has_session() && !link->is_ending &&
                             link->unsettled == unclaimed_.count_of(link.get());
        if (is_free || link->call == call.get()) sources.push_back(link.get());
    }
    auto claimed = unclaimed_.take(call->at_most - call->messages.size(), sources);
    if (!keeps_credit()) call->share.use(claimed.size());
    hand_over(call, std::move(claimed));
}

/// What nobody has asked for goes back to others. A session stays ours while something of it is in hand, and over credit that
/// is open the message would come here again at once: then it goes with all the link has, when nothing of that is in hand.
void MessageReceiver::give_back_unclaimed(escqrs::SteadyTime now)
{
    if (unclaimed_.empty() || !calls_.empty() || keeps_credit()) return;
    for (auto at = links_.begin(); at != links_.end();) {
        ReceiveLink& link = **at++;
        const bool comes_again = link.outstanding() > 0;
        const bool goes_whole = comes_again || link.has_session();
        if (goes_whole && link.unsettled != unclaimed_.count_of(&link)) continue;
        auto tokens = unclaimed_.take_older_than(now - patience_with_unclaimed, &link);
        if (tokens.empty()) continue;
        if (goes_whole) std::ranges::move(unclaimed_.take_older_than(now, &link), std::back_inserter(tokens));
        for (const std::string& token : tokens) {
            HeldMessage* const held = held_.find(token);
            if (held == nullptr) continue;
            link.is_ending = link.has_session() && !held->session_id.empty();
            pn_delivery_set_context(held->delivery, nullptr);
            give_back(link, held->delivery);
            held_.erase(*held);
        }
        if (comes_again) close(link); // Proton writes what becomes of deliveries before the detach
    }
}

/// Where the broker does not say that nothing more comes, detaching takes the credit back.
void MessageReceiver::end_drained_links(escqrs::SteadyTime now)
{
    for (auto at = links_.begin(); at != links_.end();) {
        ReceiveLink& link = **at++;
        const bool is_over = link.is_draining_since(now - drain_patience) || link.is_ending;
        if (is_over && link.call == nullptr && link.unsettled == 0) close(link);
    }
}

/// Holds a message that has arrived; nothing if nobody may handle it.
std::optional<escqrs::ReceivedMessage> MessageReceiver::take(ReceiveLink& link, pn_delivery_t* delivery,
                                                             const std::vector<char>& bytes)
{
    const escqrs::SteadyTime now = connection_->now();
    try {
        DecodedMessage decoded = options_.hands_out_undecodable ? decode_dead_letter(bytes, options_.default_session)
                                                                : decode_message(bytes, options_.default_session);
        escqrs::ReceivedMessage& received = decoded.received;
        LockEnd lock{link.locked_until, link.renew_by, link.lock_end};
        if (link.has_session()) {
            link.renew_until = later_by(now, options_.max_lock_renewal);
        } else {
            compare_clocks(received);
            lock = end_of_lock(received.locked_until);
        }
        received.locked_until = lock.time_of_day;
        HeldMessage held;
        const pn_delivery_tag_t tag = pn_delivery_tag(delivery);
        held.token =
            confirms() ? text_of_delivery_tag({tag.start, tag.size}) : "delivery-" + std::to_string(++last_token_);
        if (!confirms()) received.delivery_count = count_delivery(decoded);
        held.message_id = received.message.message_id;
        held.session_id = received.message.session_id;
        held.sequence_number = received.sequence_number;
        put_lock(held, lock);
        held.locked_at = now;
        held.renew_until = later_by(now, options_.max_lock_renewal);
        held.link = &link;
        held.delivery = delivery;
        received.lock_token = held.token;
        received.lock_lost = held.lock_lost.get_token();
        HeldMessage& added = held_.add(std::move(held));
        pn_delivery_set_context(delivery, &added);
        return std::move(received);
    } catch (const std::exception& error) {
        // Nobody can handle it; the others of its session are not to wait for it.
        connection_options().log("service bus: dead-lettered a message of '" + address_ + "': " + error.what());
        ask_for(delivery, escqrs::DeadLetter{"UndecodableMessage", error.what()}, connection_->time_of_day());
        if (!confirms()) {
            pn_delivery_settle(delivery);
            --link.unsettled;
        }
        return std::nullopt;
    }
}

/// Without counting a delivery.
void MessageReceiver::give_back(ReceiveLink& link, pn_delivery_t* delivery)
{
    ask_for_release(delivery);
    if (confirms()) return;
    pn_delivery_settle(delivery);
    --link.unsettled;
}

std::uint32_t MessageReceiver::count_delivery(const DecodedMessage& decoded)
{
    if (deliveries_.size() >= most_counted_deliveries) deliveries_.clear();
    std::uint32_t& count = deliveries_[decoded.received.message.message_id];
    count = std::max({count + 1, decoded.received.delivery_count, decoded.is_first_acquirer ? 1U : 2U});
    return count;
}

// --- locks ---

MessageReceiver::LockEnd MessageReceiver::end_of_lock(escqrs::Timestamp locked_until) const
{
    const escqrs::Timestamp time_of_day = connection_->time_of_day();
    const escqrs::SteadyTime now = connection_->now();
    const TimeLeft left = lock_times_.left(locked_until, time_of_day);
    return {escqrs::later_by(time_of_day, left.surely), later_by(now, left.surely), later_by(now, left.at_most)};
}

/// Names a difference once. The broker's answers decide whose a message is, not the clocks.
void MessageReceiver::compare_clocks(const escqrs::ReceivedMessage& received)
{
    lock_times_.saw(received.locked_until, received.enqueued_at);
    const escqrs::Timestamp time_of_day = connection_->time_of_day();
    const bool agree = !LockTimes::clocks_disagree(received.locked_until, time_of_day);
    if (std::exchange(clocks_agree_, agree) == agree || agree) return;
    const std::string problem = "'" + address_ + "': message '" + received.message.message_id + "' came at " +
                                escqrs::to_rfc3339(time_of_day) + " with a lock until " +
                                escqrs::to_rfc3339(received.locked_until) +
                                " by the broker's clock: do the clocks agree?";
    connection_->note_error(problem);
    connection_options().log("service bus: " + problem);
}

void MessageReceiver::on_tick(escqrs::SteadyTime now)
{
    renewer_.tick(now);
    watch_links(now);
    if (!confirms()) return;
    give_back_unclaimed(now);
    end_drained_links(now);
    const auto unanswered = [&](const HeldMessage* held) {
        return held->settle_call != nullptr && now - held->asked_at >= connection_options().operation_timeout;
    };
    if (std::ranges::any_of(held_.all(), unanswered)) return connection_->drop("the broker does not confirm");
    renew_locks(now);
}

void MessageReceiver::renew_locks(escqrs::SteadyTime now)
{
    for (const auto& link : links_) {
        if (!link->has_session() || link->unsettled == 0 || link->is_renewing || !link->is_open()) continue;
        if (now >= link->lock_end) continue;
        const auto due = next_renewal(link->locked_at, link->renew_by, link->renew_until);
        if (due && *due <= now) renew_session_of(*link);
    }
    for (HeldMessage* const held : held_.all()) {
        const bool has_session = held->link->has_session();
        const bool is_over = now >= (has_session ? held->link->lock_end : held->lock_end);
        if (is_over) held->lock_lost.request_stop();
        if (has_session || held->settle_call != nullptr) continue;
        if (is_over) {
            forget(*held);
            continue;
        }
        if (held->is_renewing) continue;
        const auto due = next_renewal(held->locked_at, held->renew_by, held->renew_until);
        if (due && *due <= now) renew_message(*held);
    }
}

/// Gives up a message whose lock is over.
void MessageReceiver::forget(HeldMessage& held)
{
    ask_for_release(held.delivery);
    pn_delivery_settle(held.delivery);
    --held.link->unsettled;
    unclaimed_.erase(held.token);
    held_.erase(held);
}

void MessageReceiver::renew_session_of(ReceiveLink& link)
{
    link.is_renewing = true;
    renewer_.renew_session(link.session_id(), [this, session = link.session_id()](auto until, const Condition& why) {
        const auto found = std::ranges::find_if(
            links_, [&](const auto& each) { return each->has_session() && each->session_id() == session; });
        if (found == links_.end()) return;
        (*found)->is_renewing = false;
        (*found)->locked_at = connection_->now();
        if (until) {
            put_lock(**found, end_of_lock(*until));
        } else if (is_lock_lost(why)) {
            for (HeldMessage* const held : held_.of(**found)) held->lock_lost.request_stop();
        } else {
            pause_renewal(**found);
        }
    });
}

void MessageReceiver::note_renewed(const std::string& token, escqrs::Timestamp until)
{
    HeldMessage* const held = held_.find(token);
    if (held == nullptr) return;
    held->locked_at = held->link->locked_at = connection_->now();
    const LockEnd lock = end_of_lock(until);
    put_lock(*held, lock);
    put_lock(*held->link, lock);
}

void MessageReceiver::note_lost(const std::string& token)
{
    if (HeldMessage* const held = held_.find(token)) held->lock_lost.request_stop();
}

void MessageReceiver::renew_message(HeldMessage& held)
{
    held.is_renewing = true;
    renewer_.renew_message(held.token, [this, token = held.token](auto until, const Condition& why) {
        HeldMessage* const still_held = held_.find(token);
        if (still_held == nullptr) return;
        still_held->is_renewing = false;
        still_held->locked_at = connection_->now();
        if (until) {
            put_lock(*still_held, end_of_lock(*until));
        } else if (is_lock_lost(why)) {
            note_lost(token);
        } else {
            pause_renewal(*still_held);
        }
    });
}

} // namespace service_bus
