// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "settlements.hpp"

#include <algorithm>

namespace service_bus {
namespace {

using escqrs::SettlementResult;

constexpr std::size_t most_counted_deliveries = 100'000;

} // namespace

HeldMessage& Settlements::hold(escqrs::ReceivedMessage& received, LinkId link, bool has_session_lock, bool is_first,
                               bool came_settled, pn_delivery_t* delivery)
{
    if (!confirms_) received.delivery_count = count_delivery(received, is_first);
    HeldMessage& held = keep({.token = received.lock_token,
                              .message_id = received.message.message_id,
                              .session_id = received.message.session_id,
                              .sequence_number = received.sequence_number,
                              .link = link,
                              .has_session_lock = has_session_lock,
                              .came_settled = came_settled,
                              .delivery = delivery});
    received.lock_lost = held.lock_lost.get_token();
    return held;
}

HeldMessage& Settlements::hold_rejected(LinkId link, pn_delivery_t* delivery, escqrs::SteadyTime now)
{
    return keep({.token = "rejected " + std::to_string(++rejected_), // its lock token may be another message's
                 .link = link,
                 .delivery = delivery,
                 .is_decided = true,
                 .asked = Outcome::dead_letter,
                 .asked_at = now});
}

HeldMessage& Settlements::keep(HeldMessage held)
{
    const std::string token = held.token;
    return *(held_[token] = std::make_unique<HeldMessage>(std::move(held)));
}

std::uint32_t Settlements::count_delivery(const escqrs::ReceivedMessage& received, bool is_first)
{
    if (deliveries_.size() >= most_counted_deliveries) deliveries_.clear();
    std::uint32_t& count = deliveries_[received.message.message_id];
    count = std::max({count + 1, received.delivery_count, is_first ? 1U : 2U});
    return count;
}

const HeldMessage* Settlements::find(const escqrs::ReceivedMessage& said) const { return find_held(said); }

HeldMessage* Settlements::find_held(const escqrs::ReceivedMessage& said) const
{
    const auto found = held_.find(said.lock_token);
    if (found == held_.end()) return nullptr;
    HeldMessage& held = *found->second;
    const bool agrees =
        !held.is_decided && held.sequence_number == said.sequence_number && held.session_id == said.message.session_id;
    return agrees ? &held : nullptr;
}

// --- what callers decide ---

Settlements::Actions Settlements::settle(std::span<const escqrs::Settlement> settlements, SettleCall& call,
                                         escqrs::SteadyTime now)
{
    for (std::size_t index = 0; index < settlements.size(); ++index) {
        const escqrs::Disposition& disposition = settlements[index].disposition;
        if (HeldMessage* const held = find_held(settlements[index].message))
            decide(*held, call, index, outcome_of(disposition), &disposition, now);
        else actions_.emplace_back(Decided{&call, index, SettlementResult::lock_lost});
    }
    return take_actions();
}

Settlements::Actions Settlements::defer(const escqrs::ReceivedMessage& message, SettleCall& call,
                                        escqrs::SteadyTime now)
{
    if (HeldMessage* const held = find_held(message)) decide(*held, call, 0, Outcome::defer, nullptr, now);
    else actions_.emplace_back(Decided{&call, 0, SettlementResult::lock_lost});
    return take_actions();
}

void Settlements::decide(HeldMessage& held, SettleCall& call, std::size_t index, Outcome outcome,
                         const escqrs::Disposition* disposition, escqrs::SteadyTime now)
{
    held.is_decided = true;
    held.decided_by = &call;
    held.index = index;
    if (held.came_settled) {
        actions_.emplace_back(Forget{held.delivery});
        return resolve(held, outcome == Outcome::complete ? SettlementResult::settled : SettlementResult::lock_lost,
                       {});
    }
    held.asked = outcome;
    held.asked_at = now;
    const bool goes_back = outcome == Outcome::abandon;
    if (goes_back && !confirms_) ask_for_release(held); // plain AMQP 1.0 has nothing nearer
    else actions_.emplace_back(Ask{held.delivery, outcome, disposition});
    if (goes_back && !held.session_id.empty()) {
        actions_.emplace_back(GoesBack{held.link});
        give_back_later_ones(held);
    }
    if (confirms_) return;
    if (!goes_back) {
        deliveries_.erase(held.message_id);
        actions_.emplace_back(Forget{held.delivery});
    }
    resolve(held, SettlementResult::settled, {});
}

Settlements::Actions Settlements::release(std::span<const escqrs::ReceivedMessage> messages)
{
    for (const auto& message : messages) {
        HeldMessage* const held = find_held(message);
        if (held == nullptr) continue;
        ask_for_release(*held);
        if (!held->session_id.empty() && held->has_session_lock) {
            actions_.emplace_back(GoesBack{held->link});
            give_back_later_ones(*held);
        }
        drop(*held);
    }
    return take_actions();
}

Settlements::Actions Settlements::give_back(const std::string& lock_token)
{
    if (const auto found = held_.find(lock_token); found != held_.end()) {
        ask_for_release(*found->second);
        held_.erase(found);
    }
    return take_actions();
}

Settlements::Actions Settlements::release_all()
{
    for (const auto& [token, held] : held_) {
        if (!held->is_decided) ask_for_release(*held);
        if (confirms_ && !held->came_settled) actions_.emplace_back(Forget{held->delivery});
    }
    held_.clear();
    return take_actions();
}

/// Without counting a delivery. Where the broker confirms, its answer is not waited for.
void Settlements::ask_for_release(const HeldMessage& held)
{
    if (!held.came_settled) actions_.emplace_back(Ask{held.delivery, Outcome::release, nullptr});
    if (!confirms_ || held.came_settled) actions_.emplace_back(Forget{held.delivery});
}

/// The later messages of a session must not be handled before the one that goes back.
void Settlements::give_back_later_ones(const HeldMessage& earlier)
{
    for (HeldMessage* const held : of(earlier.link)) {
        const bool is_later = held->sequence_number > earlier.sequence_number || (!confirms_ && held != &earlier);
        if (!is_later || held->is_decided || held->session_id != earlier.session_id) continue;
        ask_for_release(*held);
        held->lock_lost.request_stop();
        drop(*held);
    }
}

// --- what the broker says ---

Settlements::Actions Settlements::answered(HeldMessage& held, Answer answer, const Condition& why)
{
    actions_.emplace_back(Forget{held.delivery});
    resolve(held, answer == Answer::done ? SettlementResult::settled : SettlementResult::lock_lost,
            answer == Answer::refused ? to_text(why) : std::string{});
    return take_actions();
}

Settlements::Actions Settlements::link_closed(LinkId link, const Condition& why)
{
    for (HeldMessage* const held : of(link)) {
        // The broker may have done what it was asked before the link was gone. Once the lock was lost, it has not.
        const bool is_unknown = held->decided_by != nullptr && !is_lock_lost(why);
        held->lock_lost.request_stop();
        resolve(*held, SettlementResult::lock_lost, is_unknown ? to_text(why) : std::string{});
    }
    return take_actions();
}

/// Ends the holding of a message, and answers the call that has decided about it.
void Settlements::resolve(HeldMessage& held, SettlementResult result, std::string error)
{
    if (result == SettlementResult::lock_lost) held.lock_lost.request_stop();
    if (held.decided_by != nullptr)
        actions_.emplace_back(Decided{held.decided_by, held.index, result, std::move(error)});
    drop(held);
}

void Settlements::drop(const HeldMessage& held)
{
    actions_.emplace_back(Gone{held.link, held.token});
    held_.erase(std::string{held.token});
}

// --- locks ---

void Settlements::lock_lost(const LockName& lock)
{
    if (const auto* const token = std::get_if<std::string>(&lock)) {
        if (const auto found = held_.find(*token); found != held_.end()) found->second->lock_lost.request_stop();
        return;
    }
    for (const auto& [token, held] : held_) {
        if (held->has_session_lock && held->link == std::get<LinkId>(lock)) held->lock_lost.request_stop();
    }
}

Settlements::Actions Settlements::lock_over(const LockName& lock)
{
    lock_lost(lock);
    const auto* const token = std::get_if<std::string>(&lock);
    const auto found = token != nullptr ? held_.find(*token) : held_.end();
    // The broker says whether what was decided is done, and ends the link of a session that it has given to others.
    if (found == held_.end() || found->second->is_decided) return {};
    ask_for_release(*found->second);
    if (confirms_ && !found->second->came_settled) actions_.emplace_back(Forget{found->second->delivery});
    drop(*found->second);
    return take_actions();
}

bool Settlements::is_unanswered(escqrs::SteadyTime now, escqrs::Duration patience) const
{
    return std::ranges::any_of(held_, [&](const auto& entry) {
        const HeldMessage& held = *entry.second;
        return held.is_decided && now - held.asked_at >= patience;
    });
}

/// Those of a link, in the order of the queue.
std::vector<HeldMessage*> Settlements::of(LinkId link) const
{
    std::vector<HeldMessage*> found;
    for (const auto& [token, held] : held_) {
        if (held->link == link) found.push_back(held.get());
    }
    std::ranges::sort(found, {}, &HeldMessage::sequence_number);
    return found;
}

} // namespace service_bus
