// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "message_sender.hpp"

#include "message_codec.hpp"
#include "request_link.hpp"

#include <escqrs/core/error.hpp>
#include <escqrs/messaging/message_queue_rules.hpp>

#include <proton/delivery.h>
#include <proton/disposition.h>
#include <proton/link.h>

#include <algorithm>
#include <utility>

namespace service_bus {
namespace {

/// Between two attempts at a message that the broker gave back without a reason.
constexpr std::chrono::milliseconds least_retry_delay{100};

} // namespace

MessageSender::MessageSender(AmqpConnection& connection, std::string address, SenderOptions options)
    : connection_{&connection}, address_{std::move(address)}, options_{std::move(options)},
      flight_{options_.max_in_flight, options_.max_bytes_in_flight}, keeper_{make_link_keeper(connection.options())}
{
    connection_->post([this] { connection_->add(*this); });
}

MessageSender::~MessageSender()
{
    connection_->call([this] {
        connection_->remove(*this);
        link_.reset();
    });
}

void MessageSender::send(std::span<const escqrs::Message> messages)
{
    escqrs::MessageQueueOptions limits;
    limits.max_message_size = options_.max_message_size;
    escqrs::message_queue_rules::check_messages(messages, limits);
    if (messages.empty()) return;
    std::vector<std::vector<char>> encoded; // here, so that what cannot be encoded is reported before anything is sent
    encoded.reserve(messages.size());
    for (const auto& message : messages) {
        encoded.push_back(encode_message(message, {}, message.message_id, options_.default_session,
                                         connection_->options().broker.dialect));
    }
    send(messages, std::move(encoded));
}

void MessageSender::send_detailed(std::span<const Message> messages)
{
    escqrs::MessageQueueOptions limits;
    limits.max_message_size = options_.max_message_size;
    std::vector<escqrs::Message> heads; // what the window needs of them
    std::vector<std::vector<char>> encoded;
    for (const Message& message : messages) {
        check_message(message, limits);
        encoded.push_back(encode_message(message, message, message.message_id, options_.default_session,
                                         connection_->options().broker.dialect));
        auto& head = heads.emplace_back();
        head.message_id = message.message_id;
        head.session_id = message.session_id;
    }
    if (!heads.empty()) send(heads, std::move(encoded));
}

void MessageSender::send_encoded(const escqrs::Message& message, std::vector<char> bytes)
{
    std::vector<std::vector<char>> encoded;
    encoded.push_back(std::move(bytes));
    send(std::span{&message, 1}, std::move(encoded));
}

void MessageSender::send(std::span<const escqrs::Message> messages, std::vector<std::vector<char>> encoded)
{
    Batch batch{
        .messages = messages, .encoded = std::move(encoded), .window = SendWindow{messages, options_.max_in_flight}};
    connection_->post([this, &batch] {
        batches_.push_back(&batch);
        pump();
    });
    std::unique_lock lock{mutex_};
    const auto is_done = [&] { return batch.is_done; };
    if (!connection_->options().clock->wait_for(lock, done_, options_.timeout, {}, is_done)) {
        lock.unlock();
        connection_->call([&] {
            if (batch.is_done) return;
            if (batch.last_error.empty()) batch.last_error = why_not_sent();
            finish(batch, true);
        });
        lock.lock();
    }
    if (!batch.has_failed) return;
    const std::string& problem = batch.last_error;
    const std::string text =
        "sending to '" + address_ + "': " + std::to_string(batch.window.pending() + batch.window.in_flight()) + " of " +
        std::to_string(messages.size()) + " messages not confirmed" + (problem.empty() ? "" : ": " + problem);
    if (batch.refused) throw escqrs::MessageRefused{messages[*batch.refused].message_id, text};
    throw escqrs::TransportError{text};
}

/// What keeps a message that the broker has not seen yet.
std::string MessageSender::why_not_sent() const
{
    if (!connection_->is_ready()) return connection_->health().last_error;
    if (!keeper_.problem().empty()) return keeper_.problem();
    return link_ && link_->is_attached() ? "the broker has not answered" : "the link is not attached";
}

void MessageSender::on_ready()
{
    if (!link_) attach();
}

void MessageSender::attach()
{
    if (!connection_->may_attach() || !keeper_.may_attach(connection_->now())) return;
    LinkEvents& events = *this;
    link_ = std::make_unique<AmqpLink>(*connection_, AmqpLink::Direction::send, address_, events, [](pn_link_t* link) {
        pn_link_set_snd_settle_mode(link, PN_SND_UNSETTLED);
        pn_link_set_rcv_settle_mode(link, PN_RCV_FIRST);
    });
}

void MessageSender::on_attached()
{
    keeper_.attached();
    note_health();
    pump();
}

void MessageSender::note_health()
{
    attached_ = keeper_.state() == LinkState::working && link_ && link_->is_attached();
}

void MessageSender::give_up_link(const Condition& why)
{
    link_->close();
    on_detached(why);
}

void MessageSender::on_detached(const Condition& why)
{
    const LinkLife life = link_->life();
    attached_ = false;
    link_.reset();
    in_flight_.clear();
    flight_.clear();
    for (Batch* const batch : batches_) {
        batch->window.connection_lost();
        batch->last_error = to_text(why);
    }
    if (!connection_->is_ready()) return; // the connection comes back by itself
    connection_->note_error("'" + address_ + "': " + to_text(why));
    const LinkKeeper::Step step = keeper_.ended(life, why, connection_->now());
    if (step.renew_tokens) connection_->renew_tokens();
    if (step.recovery == Recovery::reconnect) return connection_->drop(to_text(why));
    if (step.recovery == Recovery::fail) fail_all(to_text(why));
    // Also after a failure: the queue may be created, or the key be given its right, while we run.
    const auto attach_again = [this] {
        if (!link_) attach();
    };
    connection_->at(keeper_.not_before(), attach_again, this);
}

void MessageSender::on_lost(const Condition& why)
{
    keeper_.connection_lost();
    for (Batch* const batch : batches_) batch->last_error = to_text(why);
}

void MessageSender::on_tick(escqrs::SteadyTime now)
{
    const escqrs::Duration patience = connection_->options().operation_timeout;
    const bool is_dead =
        std::ranges::any_of(in_flight_, [&](const auto& sent) { return now - sent.second.since >= patience; });
    if (is_dead) return connection_->drop("the broker does not confirm");
    if (!link_) return;
    // A call may end before the link is given up: the link still waits.
    const bool needs_some = !batches_.empty() || keeper_.waits_for_credit() || !keeper_.problem().empty();
    const bool waits_for_credit =
        link_->is_attached() && pn_link_credit(link_->get()) <= 0 && in_flight_.empty() && needs_some;
    if (const auto why = keeper_.overdue(link_->life(), {}, waits_for_credit, now)) return give_up_link(*why);
    note_health();
    pump();
}

void MessageSender::pump()
{
    if (!link_ || !link_->is_attached()) return;
    const escqrs::SteadyTime now = connection_->now();
    for (auto at = batches_.begin(); at != batches_.end();) {
        Batch& batch = **at++; // it may end meanwhile
        if (batch.not_before > now) continue;
        while (flight_.has_room() && pn_link_credit(link_->get()) > 0) {
            const auto index = batch.window.next();
            if (!index || !put(batch, *index)) break;
        }
    }
}

/// @return false if the batch has failed
bool MessageSender::put(Batch& batch, std::size_t index)
{
    const auto& bytes = batch.encoded[index];
    const std::uint64_t limit = pn_link_remote_max_message_size(link_->get());
    if (limit != 0 && bytes.size() > limit) { // Proton would send it all the same
        batch.last_error = "message '" + batch.messages[index].message_id + "' has " + std::to_string(bytes.size()) +
                           " bytes encoded, the queue takes at most " + std::to_string(limit);
        batch.refused = index;
        finish(batch, true);
        return false;
    }
    in_flight_.emplace(send_message(link_->get(), bytes), InFlight{&batch, index, bytes.size(), connection_->now()});
    flight_.sent(bytes.size());
    return true;
}

void MessageSender::on_delivery(pn_delivery_t* delivery)
{
    const std::uint64_t outcome = pn_delivery_remote_state(delivery);
    // How much of a message has come is no outcome.
    if ((outcome == 0 || outcome == PN_RECEIVED) && !pn_delivery_settled(delivery)) return;
    const Condition why = to_condition(pn_disposition_condition(pn_delivery_remote(delivery)));
    pn_delivery_settle(delivery);
    if (link_) keeper_.worked(link_->life());
    note_health();
    const auto found = in_flight_.find(delivery);
    if (found == in_flight_.end()) return;
    const InFlight sent = found->second;
    in_flight_.erase(found);
    flight_.answered(sent.bytes);
    if (sent.batch == nullptr) return pump();
    if (outcome == PN_ACCEPTED) {
        sent.batch->window.accepted(sent.index);
        if (sent.batch->window.is_done()) finish(*sent.batch, false);
    } else {
        given_back(sent, why, outcome == PN_REJECTED);
    }
    pump();
}

void MessageSender::given_back(const InFlight& sent, const Condition& why, bool is_rejected)
{
    Batch& batch = *sent.batch;
    batch.last_error = "message '" + batch.messages[sent.index].message_id + "' " +
                       (is_rejected ? "rejected" : "given back by the broker") +
                       (why.name.empty() ? "" : ": " + to_text(why));
    batch.window.to_be_retried(sent.index);
    if (is_rejected && recovery_for(why.name, ConditionSource::broker) == Recovery::fail) {
        if (concerns_the_message(why.name)) batch.refused = sent.index;
        finish(batch, true);
        return;
    }
    batch.not_before = connection_->now() + std::max<escqrs::Duration>(least_retry_delay, least_delay_for(why.name));
    connection_->at(
        batch.not_before, [this] { pump(); }, this);
}

void MessageSender::finish(Batch& batch, bool has_failed)
{
    std::erase(batches_, &batch);
    for (auto& [delivery, sent] : in_flight_) {
        if (sent.batch == &batch)
            sent.batch = nullptr; // it keeps its place until it is answered, or the connection dropped
    }
    {
        const std::scoped_lock lock{mutex_};
        batch.has_failed = has_failed;
        batch.is_done = true; // from here on it may be destroyed with its waiting caller
    }
    done_.notify_all();
}

void MessageSender::fail_all(const std::string& why)
{
    while (!batches_.empty()) {
        Batch& batch = *batches_.front();
        batch.last_error = why;
        finish(batch, true);
    }
}

} // namespace service_bus
