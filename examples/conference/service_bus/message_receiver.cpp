// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "message_receiver.hpp"

#include "lock_token.hpp"
#include "message_codec.hpp"

#include <escqrs/core/error.hpp>
#include <escqrs/messaging/message_queue_rules.hpp>

#include <proton/delivery.h>
#include <proton/disposition.h>

#include <algorithm>
#include <cstddef>
#include <utility>

namespace service_bus {
namespace {

constexpr std::size_t most_at_once = 100'000; ///< of credit, which AMQP counts in 32 bits

ReceiveCalls::Options calls_options(const ReceiverOptions& options, const AmqpConnectionOptions& connection)
{
    const bool confirms = connection.broker.dialect == Dialect::service_bus;
    ReceiveCalls::Options calls;
    calls.has_sessions = options.sessions && confirms;
    calls.is_one_session = options.session_id.has_value();
    calls.max_sessions = calls.is_one_session ? 1 : options.max_sessions;
    calls.default_session = options.default_session;
    calls.prefetch = calls.has_sessions ? 0 : std::min(options.prefetch, most_at_once);
    calls.takes_credit_back = confirms && calls.prefetch == 0; // plain AMQP 1.0 cannot be relied on to do it
    calls.linger = options.linger;
    calls.operation_timeout = connection.operation_timeout;
    return calls;
}

ReceiverOptions checked(ReceiverOptions options, const std::string& address, Dialect dialect)
{
    check_options(options, address, dialect);
    return options;
}

} // namespace

/// A call of `receive` that waits.
struct MessageReceiver::ReceiveCall {
    CallId id{};
    std::vector<ReceivedMessage> messages;
    std::string error;
    bool is_done = false; ///< guarded by the receiver's mutex
};

MessageReceiver::MessageReceiver(AmqpConnection& connection, std::string address, ReceiverOptions options)
    : connection_{&connection}, address_{std::move(address)},
      options_{checked(std::move(options), address_, connection.options().broker.dialect)},
      source_{"'" + address_ + "'" + (options_.session_id ? ", session '" + *options_.session_id + "'" : "")},
      calls_{calls_options(options_, connection.options()), make_link_keeper(connection.options())},
      settlements_{confirms()}, locks_{options_.max_lock_renewal}, renewer_{connection, address_}
{
    connection_->post([this] { connection_->add(*this); });
}

MessageReceiver::~MessageReceiver()
{
    if (options_.prefetch > 0 || confirms()) take_back_credit();
    connection_->call([this] {
        connection_->remove(*this);
        carry_out(settlements_.release_all());
        links_.clear();
        renewer_.close();
    });
}

/// What is on its way to a link that is detached stays locked until its lock runs out: it is waited for.
void MessageReceiver::take_back_credit()
{
    connection_->call([&] { carry_out(calls_.stop(connection_->now())); });
    std::unique_lock lock{mutex_};
    connection_options().clock->wait_for(lock, changed_, drain_patience, {}, [&] { return is_quiet_; });
}

// --- calls, from any thread ---

std::vector<escqrs::ReceivedMessage> MessageReceiver::receive(std::size_t at_most, escqrs::Duration wait,
                                                              std::stop_token stop)
{
    std::vector<escqrs::ReceivedMessage> plain;
    for (ReceivedMessage& received : receive_detailed(at_most, wait, std::move(stop)))
        plain.push_back(static_cast<escqrs::ReceivedMessage&&>(received));
    return plain;
}

std::vector<ReceivedMessage> MessageReceiver::receive_detailed(std::size_t at_most, escqrs::Duration wait,
                                                               std::stop_token stop)
{
    if (at_most == 0 || stop.stop_requested()) return {};
    at_most = std::min(at_most, most_at_once);
    wait = std::max(wait, options_.least_wait);
    const escqrs::SteadyTime deadline = later_by(connection_->now(), wait);
    ReceiveCall call;
    connection_->post([&, at_most, deadline] {
        call.id = CallId{++last_call_};
        receive_calls_.emplace(call.id, &call);
        carry_out(calls_.begin(call.id, at_most, deadline, connection_->now()));
    });
    std::unique_lock lock{mutex_};
    const auto is_done = [&] { return call.is_done; };
    if (!connection_options().clock->wait_for(lock, changed_, wait, stop, is_done)) {
        lock.unlock();
        connection_->call([&] { carry_out(calls_.end(call.id, connection_->now())); });
        lock.lock();
        changed_.wait(lock, is_done);
    }
    if (call.messages.empty() && !call.error.empty() && !stop.stop_requested())
        throw escqrs::TransportError{"receiving from " + source_ + ": " + call.error};
    return std::move(call.messages);
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
    SettleCall call{.results = {settlements.size(), escqrs::SettlementResult::lock_lost},
                    .pending = settlements.size()};
    connection_->post([&] { carry_out(settlements_.settle(settlements, call, connection_->now())); });
    return wait_for(call);
}

void MessageReceiver::defer(const escqrs::ReceivedMessage& message)
{
    if (!confirms()) throw escqrs::TransportError{"plain AMQP 1.0 cannot defer messages"};
    SettleCall call{.results = {escqrs::SettlementResult::lock_lost}, .pending = 1};
    connection_->post([&] { carry_out(settlements_.defer(message, call, connection_->now())); });
    if (wait_for(call).front() == escqrs::SettlementResult::lock_lost)
        escqrs::message_queue_rules::throw_lock_lost(message);
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

void MessageReceiver::release(std::span<const escqrs::ReceivedMessage> messages)
{
    connection_->call([&] { carry_out(settlements_.release(messages)); });
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
        const HeldMessage* const held = settlements_.find(message);
        if (held == nullptr) return finish_with(std::nullopt, {});
        if (!confirms()) return finish_with(message.locked_until, {}); // it has no end
        renew(held->lock(), [&](std::optional<escqrs::Timestamp> until, const Condition& why) {
            finish_with(until, until || is_lock_lost(why) ? std::string{} : to_text(why));
        });
    });
    std::unique_lock lock{mutex_};
    changed_.wait(lock, [&] { return is_done; });
    if (!error.empty()) throw escqrs::TransportError{"renewing a lock of '" + address_ + "': " + error};
    if (!locked_until) escqrs::message_queue_rules::throw_lock_lost(message);
    message.locked_until = *locked_until;
}

/// @param done  gets the lock's end by this machine's clock; may be empty
void MessageReceiver::renew(const LockName& lock, const LockRenewer::Renewed& done)
{
    const auto renewed = [this, lock, done](std::optional<escqrs::Timestamp> until, const Condition& why) {
        if (until) until = locks_.renewed(lock, *until, moment());
        else locks_.not_renewed(lock, is_lock_lost(why), connection_->now());
        if (is_lock_lost(why)) settlements_.lock_lost(lock);
        if (done) done(until, why);
    };
    if (const auto* const token = std::get_if<std::string>(&lock)) return renewer_.renew_message(*token, renewed);
    const auto found = links_.find(std::get<LinkId>(lock));
    if (found == links_.end()) return renewed(std::nullopt, {"", "the link is closed"});
    renewer_.renew_session(found->second->session_id(), renewed);
}

// --- events, on the connection's thread ---

void MessageReceiver::on_ready() { carry_out(calls_.connected(connection_->now())); }

void MessageReceiver::on_lost(const Condition& /*why*/)
{
    calls_.connection_lost();
    renewer_.connection_lost();
    link_state_ = calls_.link_state();
}

void MessageReceiver::on_tick(escqrs::SteadyTime now)
{
    renewer_.tick(now);
    carry_out(calls_.tick(now));
    if (!confirms()) return;
    if (settlements_.is_unanswered(now, connection_options().operation_timeout))
        return connection_->drop("the broker does not confirm");
    carry_out(locks_.tick(now));
}

void MessageReceiver::on_link_open(ReceiveLink& link)
{
    const std::string& session = link.session_id();
    if (link.has_session() && session.empty()) return on_link_closed(link, {"", "the broker names no session"});
    if (link.has_session() && session != options_.session_id.value_or(session))
        return on_link_closed(link, {"", "the broker gave session '" + session + "' in its place"});
    if (link.has_session()) locks_.took_session(link.id(), session, link.locked_until(), moment());
    carry_out(calls_.link_opened(link.id(), session, connection_->now()));
}

void MessageReceiver::on_link_closed(ReceiveLink& link, const Condition& why)
{
    const LinkId id = link.id();
    carry_out(calls_.link_closed(id, why, connection_->may_attach(), connection_->now()));
    carry_out(settlements_.link_closed(id, why));
    perform(Detach{id});
}

void MessageReceiver::on_link_flow(ReceiveLink& link)
{
    carry_out(calls_.credit_flowed(link.id(), link.outstanding(), connection_->now()));
}

void MessageReceiver::on_message(ReceiveLink& link, pn_delivery_t* delivery, const std::vector<char>& bytes)
{
    const bool is_confirmed = confirms() && !pn_delivery_settled(delivery);
    auto message = take(link, delivery, bytes);
    if (message || is_confirmed)
        carry_out(calls_.message_arrived(link.id(), std::move(message), link.outstanding(), connection_->now()));
    else carry_out(calls_.nothing_arrived(link.id(), link.outstanding(), connection_->now()));
}

void MessageReceiver::on_aborted(ReceiveLink& link)
{
    carry_out(calls_.nothing_arrived(link.id(), link.outstanding(), connection_->now()));
}

void MessageReceiver::on_settled(ReceiveLink& /*link*/, pn_delivery_t* delivery)
{
    auto* const held = static_cast<HeldMessage*>(pn_delivery_get_context(delivery));
    if (held == nullptr) return pn_delivery_settle(delivery); // it was given back, or dead-lettered
    const Answer answer = answer_to(held->asked, delivery);
    const Condition why = to_condition(pn_disposition_condition(pn_delivery_remote(delivery)));
    carry_out(settlements_.answered(*held, answer, why));
}

/// Holds a message that has come; nothing if it cannot be decoded: then the broker is asked to dead-letter it.
std::optional<ReceivedMessage> MessageReceiver::take(ReceiveLink& link, pn_delivery_t* delivery,
                                                     const std::vector<char>& bytes)
{
    pn_delivery_set_context(delivery, nullptr);
    try {
        DecodedMessage decoded = options_.hands_out_undecodable ? decode_dead_letter(bytes, options_.default_session)
                                                                : decode_message(bytes, options_.default_session);
        ReceivedMessage& received = decoded.received;
        const pn_delivery_tag_t tag = pn_delivery_tag(delivery);
        received.lock_token =
            confirms() ? text_of_delivery_tag({tag.start, tag.size}) : "delivery-" + std::to_string(++last_token_);
        if (settlements_.is_held(received.lock_token))
            throw escqrs::TransportError{"its lock token is that of another message"};
        if (link.has_session()) locks_.took_message_of(link.id(), received, moment());
        else locks_.took_message(received, moment());
        if (const auto problem = locks_.take_clock_problem()) {
            connection_->note_error("'" + address_ + "': " + *problem);
            connection_options().log("service bus: '" + address_ + "': " + *problem);
        }
        HeldMessage& held = settlements_.hold(received, link.id(), link.has_session(), decoded.is_first_acquirer,
                                              pn_delivery_settled(delivery), delivery);
        pn_delivery_set_context(delivery, &held);
        return std::move(received);
    } catch (const std::exception& error) {
        connection_options().log("service bus: dead-lettered a message of '" + address_ + "': " + error.what());
        ask_for(delivery, escqrs::DeadLetter{"UndecodableMessage", error.what()}, connection_->time_of_day());
        if (confirms() && !pn_delivery_settled(delivery))
            pn_delivery_set_context(delivery, &settlements_.hold_rejected(link.id(), delivery, connection_->now()));
        else pn_delivery_settle(delivery);
        return std::nullopt;
    }
}

// --- what the machines want done ---

void MessageReceiver::carry_out(ReceiveActions actions)
{
    link_state_ = calls_.link_state(); // before a call returns that may ask for it
    perform_all(actions);
    if (is_quiet_ == calls_.is_quiet()) return;
    const std::scoped_lock lock{mutex_};
    is_quiet_ = !is_quiet_;
    changed_.notify_all();
}

void MessageReceiver::perform(const Attach& action)
{
    ReceiveLinkOwner& owner = *this;
    links_.emplace(action.link, std::make_shared<ReceiveLink>(*connection_, address_, action.link, action.session_wait,
                                                              options_.session_id, owner));
}

void MessageReceiver::perform(const Detach& action)
{
    locks_.forget(action.link);
    const auto found = links_.find(action.link);
    if (found == links_.end()) return;
    found->second->close();
    connection_->post([link = std::move(found->second)] {}); // it may be calling: it goes away after it has returned
    links_.erase(found);
}

void MessageReceiver::perform(const Grant& action)
{
    if (const auto found = links_.find(action.link); found != links_.end()) found->second->grant(action.credit);
}

void MessageReceiver::perform(const SetDrain& action)
{
    if (const auto found = links_.find(action.link); found != links_.end()) found->second->set_drain(action.on);
}

void MessageReceiver::perform(HandOut& action)
{
    const auto found = receive_calls_.extract(action.call);
    ReceiveCall& call = *found.mapped();
    if (action.messages.empty() && action.error.empty() && !connection_->is_ready()) {
        action.error = connection_->health().last_error;
        if (action.error.empty()) action.error = "not connected yet";
    }
    call.messages = std::move(action.messages);
    call.error = std::move(action.error);
    const std::scoped_lock lock{mutex_};
    call.is_done = true;
    changed_.notify_all();
}

void MessageReceiver::perform(const WakeAt& action)
{
    connection_->at(
        action.moment, [this] { carry_out(calls_.time_passed(connection_->now())); }, this);
}

void MessageReceiver::perform(const Settlements::Ask& action)
{
    if (action.disposition != nullptr) {
        ask_for(action.delivery, *action.disposition, connection_->time_of_day());
    } else if (action.outcome == Outcome::defer) {
        ask_for_deferral(action.delivery);
    } else {
        pn_delivery_set_context(action.delivery, nullptr); // it is held no more
        ask_for_release(action.delivery);
    }
}

void MessageReceiver::perform(Settlements::Decided& action)
{
    SettleCall& call = *action.call;
    call.results[action.index] = action.result;
    if (!action.error.empty()) call.error = std::move(action.error);
    const std::scoped_lock lock{mutex_};
    if (--call.pending == 0) changed_.notify_all(); // from here on it may go away
}

void MessageReceiver::perform(const Settlements::Forget& action) { pn_delivery_settle(action.delivery); }

void MessageReceiver::perform(const Settlements::Gone& action)
{
    locks_.forget(action.lock_token);
    carry_out(calls_.message_gone(action.link, action.lock_token, connection_->now()));
}

} // namespace service_bus
