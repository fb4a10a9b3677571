// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "message_receiver.hpp"

#include <escqrs/error.hpp>
#include <escqrs/message_queue_rules.hpp>

#include <proton/delivery.h>
#include <proton/disposition.h>

#include <algorithm>
#include <utility>

namespace service_bus {

MessageReceiver::MessageReceiver(AmqpConnection& connection, std::string address, ReceiverOptions options)
    : connection_{&connection}, address_{std::move(address)}, options_{std::move(options)},
      renewer_{connection, address_}, keeper_{make_link_keeper(connection.options())}
{
    if (!confirms()) options_.sessions = false;
    if (options_.sessions) options_.prefetch = 0;
    connection_->post([this] { connection_->add(*this); });
}

MessageReceiver::~MessageReceiver()
{
    if (options_.prefetch > 0 || confirms()) take_back_credit();
    connection_->call([this] {
        connection_->remove(*this);
        for (HeldMessage* const held : held_.all()) {
            ask_for_release(held->delivery);
            pn_delivery_settle(held->delivery);
        }
        links_.clear();
        renewer_.close();
    });
}

/// What is on its way to a link that is detached stays locked until its lock runs out: it is waited for.
void MessageReceiver::take_back_credit()
{
    std::size_t open = 0;
    connection_->call([&] {
        for (const auto& link : links_) {
            if (!link->is_open() || link->outstanding() == 0) continue;
            ++open;
            link->drain(connection_->now());
        }
        const std::scoped_lock lock{mutex_};
        draining_ = open;
    });
    std::unique_lock lock{mutex_};
    const auto is_over = [&] { return draining_ == 0; };
    connection_options().clock->wait_for(lock, changed_, drain_patience, {}, is_over);
}

void MessageReceiver::note_drained()
{
    {
        const std::scoped_lock lock{mutex_};
        if (draining_ == 0 || --draining_ > 0) return;
    }
    changed_.notify_all();
}

std::vector<escqrs::ReceivedMessage> MessageReceiver::receive(std::size_t at_most, escqrs::Duration wait,
                                                              std::stop_token stop)
{
    if (at_most == 0 || stop.stop_requested()) return {};
    wait = std::max(wait, options_.least_wait);
    const escqrs::SteadyTime deadline = later_by(connection_->now(), wait);
    const auto call = std::make_shared<ReceiveCall>(at_most, deadline);
    connection_->post([this, call] {
        calls_.push_back(call);
        recruit(call);
    });
    std::unique_lock lock{mutex_};
    const auto is_done = [&] { return call->is_done; };
    if (!connection_options().clock->wait_for(lock, changed_, wait, stop, is_done)) {
        lock.unlock();
        connection_->post([this, call] { conclude(call); });
        lock.lock();
        changed_.wait(lock, is_done);
    }
    if (call->messages.empty() && !call->error.empty() && !stop.stop_requested())
        throw escqrs::TransportError{"receiving from '" + address_ + "': " + call->error};
    return std::move(call->messages);
}

void MessageReceiver::settle(const escqrs::ReceivedMessage& message, const escqrs::Disposition& disposition)
{
    const escqrs::Settlement settlement{message, disposition};
    if (settle(std::span{&settlement, 1}).front() == escqrs::SettlementResult::lock_lost)
        escqrs::message_queue_rules::throw_lock_lost(message);
}

std::vector<escqrs::SettlementResult> MessageReceiver::settle(std::span<const escqrs::Settlement> settlements)
{
    escqrs::MessageQueueOptions limits;
    limits.max_message_size = options_.max_message_size;
    for (const auto& settlement : settlements)
        escqrs::message_queue_rules::check_disposition(settlement.message, settlement.disposition, limits);
    if (settlements.empty()) return {};
    SettleCall call;
    call.results.assign(settlements.size(), escqrs::SettlementResult::lock_lost);
    call.pending = settlements.size() + 1; // one more, for as long as they are being begun
    connection_->post([&] { begin(settlements, call); });
    return wait_for(call);
}

/// It ends with the broker's answers, or with the connection that does not bring them in its time.
std::vector<escqrs::SettlementResult> MessageReceiver::wait_for(SettleCall& call)
{
    std::unique_lock lock{mutex_};
    changed_.wait(lock, [&] { return call.pending == 0; });
    if (!call.error.empty())
        throw escqrs::TransportError{"settling messages of '" + address_ + "': outcome unknown: " + call.error};
    return std::move(call.results);
}

void MessageReceiver::defer(const escqrs::ReceivedMessage& message)
{
    if (!confirms()) throw escqrs::TransportError{"plain AMQP 1.0 cannot defer messages"};
    SettleCall call;
    call.results = {escqrs::SettlementResult::lock_lost};
    call.pending = 1;
    connection_->post([&] {
        HeldMessage* const held = held_.find(message);
        if (held == nullptr) {
            note_decided(call, 1);
            return;
        }
        held->settle_call = &call;
        held->settle_index = 0;
        held->asked = Outcome::defer;
        held->asked_at = connection_->now();
        ask_for_deferral(held->delivery);
    });
    if (wait_for(call).front() == escqrs::SettlementResult::lock_lost)
        escqrs::message_queue_rules::throw_lock_lost(message);
}

void MessageReceiver::renew_lock(escqrs::ReceivedMessage& message)
{
    std::optional<escqrs::Timestamp> locked_until;
    std::string error;
    bool is_done = false;
    const auto finish_with = [&](std::optional<escqrs::Timestamp> until, std::string why) {
        const std::scoped_lock lock{mutex_};
        locked_until = until;
        error = std::move(why);
        is_done = true;
        changed_.notify_all();
    };
    connection_->post([&] {
        HeldMessage* const held = held_.find(message);
        if (held == nullptr) return finish_with(std::nullopt, {});
        if (!confirms()) return finish_with(held->locked_until, {}); // it has no end
        const auto renewed = [&, token = held->token](std::optional<escqrs::Timestamp> until, const Condition& why) {
            if (until) note_renewed(token, *until);
            else if (is_lock_lost(why)) note_lost(token);
            const bool unknown = !until && !is_lock_lost(why);
            if (until) until = end_of_lock(*until).time_of_day;
            finish_with(until, unknown ? to_text(why) : std::string{});
        };
        if (held->link->has_session()) renewer_.renew_session(held->link->session_id(), renewed);
        else renewer_.renew_message(held->token, renewed);
    });
    std::unique_lock lock{mutex_};
    changed_.wait(lock, [&] { return is_done; });
    if (!error.empty()) throw escqrs::TransportError{"renewing a lock of '" + address_ + "': " + error};
    if (!locked_until) escqrs::message_queue_rules::throw_lock_lost(message);
    message.locked_until = *locked_until;
}

void MessageReceiver::release(std::span<const escqrs::ReceivedMessage> messages)
{
    connection_->call([&] {
        for (const auto& message : messages) {
            HeldMessage* const held = held_.find(message);
            if (held == nullptr) continue;
            ReceiveLink& link = *held->link;
            if (!held->session_id.empty()) link.is_ending = link.has_session();
            pn_delivery_set_context(held->delivery, nullptr);
            give_back(link, held->delivery);
            if (link.is_ending) give_back_later_ones(*held);
            held_.erase(*held);
            close_if_unused(link);
        }
    });
}

// --- settling ---

void MessageReceiver::begin(std::span<const escqrs::Settlement> settlements, SettleCall& call)
{
    std::size_t decided = 0;
    for (std::size_t index = 0; index < settlements.size(); ++index) {
        HeldMessage* const held = held_.find(settlements[index].message);
        if (held == nullptr) ++decided; // lost
        else begin_one(*held, settlements[index], call, index);
    }
    note_decided(call, decided + 1);
}

void MessageReceiver::begin_one(HeldMessage& held, const escqrs::Settlement& settlement, SettleCall& call,
                                std::size_t index)
{
    held.settle_call = &call;
    held.settle_index = index;
    const Outcome outcome = held.asked = outcome_of(settlement.disposition);
    held.asked_at = connection_->now();
    if (!confirms() && outcome == Outcome::abandon) ask_for_release(held.delivery);
    else ask_for(held.delivery, settlement.disposition, connection_->time_of_day());
    if (outcome == Outcome::abandon && !held.session_id.empty()) {
        held.link->is_ending = held.link->has_session();
        give_back_later_ones(held);
    }
    if (confirms()) return;
    if (outcome != Outcome::abandon) deliveries_.erase(held.message_id);
    pn_delivery_settle(held.delivery);
    --held.link->unsettled;
    resolve(held, escqrs::SettlementResult::settled, {});
}

/// The later messages of a session must not be handled before the one that goes back.
void MessageReceiver::give_back_later_ones(const HeldMessage& earlier)
{
    for (HeldMessage* const held : held_.of(*earlier.link)) {
        const bool is_later = held->sequence_number > earlier.sequence_number ||
                              (!confirms() && held != &earlier && held->session_id == earlier.session_id);
        if (!is_later || held->settle_call != nullptr || held->session_id != earlier.session_id) continue;
        pn_delivery_set_context(held->delivery, nullptr);
        give_back(*held->link, held->delivery);
        unclaimed_.erase(held->token);
        held->lock_lost.request_stop();
        held_.erase(*held);
    }
}

void MessageReceiver::on_settled(ReceiveLink& link, pn_delivery_t* delivery)
{
    auto* const held = static_cast<HeldMessage*>(pn_delivery_get_context(delivery));
    const Answer answer = held != nullptr ? answer_to(held->asked, delivery) : Answer::done;
    const Condition why = to_condition(pn_disposition_condition(pn_delivery_remote(delivery)));
    --link.unsettled;
    pn_delivery_settle(delivery);
    if (held != nullptr) {
        using enum escqrs::SettlementResult;
        resolve(*held, answer == Answer::done ? settled : lock_lost, answer == Answer::refused ? to_text(why) : "");
    }
    close_if_unused(link);
}

/// Ends the holding of a message, and tells whoever has decided about it.
void MessageReceiver::resolve(HeldMessage& held, escqrs::SettlementResult result, const std::string& error)
{
    SettleCall* const call = held.settle_call;
    const std::size_t index = held.settle_index;
    if (result == escqrs::SettlementResult::lock_lost) held.lock_lost.request_stop();
    held_.erase(held);
    if (call == nullptr) return;
    call->results[index] = result;
    if (!error.empty()) call->error = error;
    note_decided(*call, 1);
}

/// The call may be gone when this returns.
void MessageReceiver::note_decided(SettleCall& call, std::size_t count)
{
    {
        const std::scoped_lock lock{mutex_};
        call.pending -= count;
        if (call.pending > 0) return;
    }
    changed_.notify_all();
}

// --- links ---

/// A session whose messages are all settled goes back to the queue, so that no session is starved.
void MessageReceiver::close_if_unused(ReceiveLink& link)
{
    if (!link.has_session() || link.call != nullptr) return;
    if (link.unsettled == 0 || (link.is_ending && held_.of(link).empty())) close(link);
}

void MessageReceiver::close(ReceiveLink& link)
{
    const auto found = std::ranges::find(links_, &link, &std::unique_ptr<ReceiveLink>::get);
    if (found == links_.end()) return;
    // It may be calling: it goes away after it has returned.
    unclaimed_.erase_all_of(&link);
    const std::shared_ptr<ReceiveLink> closed = std::move(*found);
    links_.erase(found);
    closed->close();
    connection_->post([closed] {});
}

} // namespace service_bus
