// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "message_receiver.hpp"

#include "lock_renewal.hpp"
#include "lock_token.hpp"

#include <escqrs/detail/message_queue_rules.hpp>
#include <escqrs/error.hpp>

#include <proton/delivery.h>
#include <proton/disposition.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <utility>

namespace conference::service_bus {
namespace {

constexpr std::string_view no_session_available = "com.microsoft:timeout";
/// What a broker may take to say that nothing more comes. Azure was seen to take seconds, or not to answer; Microsoft's
/// client for JavaScript waits as long.
constexpr std::chrono::milliseconds drain_patience{200};
/// How long messages that came after the end of their call are kept for the next one.
constexpr std::chrono::seconds patience_with_unclaimed{1};
constexpr std::size_t most_counted_deliveries = 100'000;

} // namespace

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
        escqrs::detail::throw_lock_lost(message);
}

std::vector<escqrs::SettlementResult> MessageReceiver::settle(std::span<const escqrs::Settlement> settlements)
{
    escqrs::MessageQueueOptions limits;
    limits.max_message_size = options_.max_message_size;
    for (const auto& settlement : settlements)
        escqrs::detail::check_disposition(settlement.message, settlement.disposition, limits);
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
    if (wait_for(call).front() == escqrs::SettlementResult::lock_lost) escqrs::detail::throw_lock_lost(message);
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
    if (!locked_until) escqrs::detail::throw_lock_lost(message);
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
            held_.erase(*held);
            close_if_unused(link);
        }
    });
}

// --- receiving ---

void MessageReceiver::on_ready()
{
    for (const CallPointer& call : std::vector{calls_}) recruit(call);
}

void MessageReceiver::on_lost(const Condition& /*why*/)
{
    keeper_.connection_lost();
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

/// What nobody has asked for goes back to others, unless the broker would send it here again at once.
void MessageReceiver::give_back_unclaimed(escqrs::SteadyTime now)
{
    if (unclaimed_.empty() || !calls_.empty() || keeps_credit()) return;
    for (const auto& link : links_) {
        if (link->outstanding() > 0 && !link->has_session()) continue;
        for (const std::string& token : unclaimed_.take_older_than(now - patience_with_unclaimed, link.get())) {
            HeldMessage* const held = held_.find(token);
            if (held == nullptr) continue;
            link->is_ending = link->has_session() && !held->session_id.empty();
            pn_delivery_set_context(held->delivery, nullptr);
            give_back(*link, held->delivery);
            held_.erase(*held);
        }
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

/// The later messages of a session are not to be handled before the one that was abandoned.
void MessageReceiver::give_back_later_ones(const HeldMessage& abandoned)
{
    for (HeldMessage* const held : held_.of(*abandoned.link)) {
        const bool is_later = held->sequence_number > abandoned.sequence_number ||
                              (!confirms() && held != &abandoned && held->session_id == abandoned.session_id);
        if (!is_later || held->settle_call != nullptr || held->session_id != abandoned.session_id) continue;
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

} // namespace conference::service_bus
