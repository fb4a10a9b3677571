// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "amqp_connection.hpp"
#include "lock_keeping.hpp"
#include "lock_renewer.hpp"
#include "receive_calls.hpp"
#include "receive_link.hpp"
#include "receiver_options.hpp"
#include "settlements.hpp"

#include <escqrs/messaging/message_queue.hpp>

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <unordered_map>
#include <vector>

namespace service_bus {

/// Takes messages off a queue, a subscription, or a dead-letter queue under lock: `escqrs::MessageReceiver`.
///
/// Three machines decide: `ReceiveCalls`, `Settlements` and `LockKeeping`. This class tells them what happens on the links, and
/// does what they say.
///
/// Unless prefetching is asked for, the broker is given credit for what a `receive` asked for. The credit is taken back when
/// messages have come; `receive` does not wait for the broker to say so. What comes later is for the next `receive`, or goes
/// back, uncounted, if there is none within a second.
/// Settling returns when the broker has confirmed it. Locks are renewed from receipt on, sessions' as well as messages';
/// when one is lost, `ReceivedMessage::lock_lost` fires. With sessions, a session is held until every message that was
/// received of it is settled, then given free for the fairness of all. One that is named by `ReceiverOptions::session_id` is held
/// until the receiver ends, or its lock: `receive` throws at once if another receiver holds it.
///
/// A lost connection loses the locks of sessions at once; their messages come again, uncounted. Messages of a queue
/// without sessions come again when their locks have run out.
/// Plain AMQP 1.0 has no lock times and no confirmation: settling is final when it is sent, abandoning adds no properties,
/// and how often a message was delivered is counted here only.
/// @par Thread safety  any thread
class MessageReceiver final : ConnectionUser, ReceiveLinkOwner {
public:
    /// @param connection  must outlive the receiver
    /// @throws escqrs::TransportError if a session is named that cannot be, or the receiver has none
    MessageReceiver(AmqpConnection& connection, std::string address, ReceiverOptions options = {});

    /// Gives everything back that is still held. No call may be under way.
    ~MessageReceiver() override;

    /// @throws escqrs::TransportError if the broker cannot be reached, or refuses
    std::vector<escqrs::ReceivedMessage> receive(std::size_t at_most, escqrs::Duration wait, std::stop_token stop);

    /// Receives messages with what Service Bus has beyond `escqrs::ReceivedMessage`; the rest is as above.
    std::vector<ReceivedMessage> receive_detailed(std::size_t at_most, escqrs::Duration wait, std::stop_token stop);

    void settle(const escqrs::ReceivedMessage& message, const escqrs::Disposition& disposition);
    std::vector<escqrs::SettlementResult> settle(std::span<const escqrs::Settlement> settlements);
    void renew_lock(escqrs::ReceivedMessage& message);

    /// Puts a message aside, to be asked for by its sequence number (`ManagementClient::receive_deferred`).
    /// @throws escqrs::MessageLockLost, escqrs::TransportError
    void defer(const escqrs::ReceivedMessage& message);

    /// Gives messages back as if they had never been delivered, and with them the later ones of their sessions. What is not
    /// held any more is left out.
    void release(std::span<const escqrs::ReceivedMessage> messages);

    /// How its links are, as far as the broker has said.
    LinkState link_state() const noexcept { return link_state_.load(std::memory_order_relaxed); }

private:
    struct ReceiveCall;

    void on_ready() override;
    void on_lost(const Condition& why) override;
    void on_tick(escqrs::SteadyTime now) override;
    void on_link_open(ReceiveLink& link) override;
    void on_link_closed(ReceiveLink& link, const Condition& why) override;
    void on_link_flow(ReceiveLink& link) override;
    void on_message(ReceiveLink& link, pn_delivery_t* delivery, const std::vector<char>& bytes) override;
    void on_aborted(ReceiveLink& link) override;
    void on_settled(ReceiveLink& link, pn_delivery_t* delivery) override;

    void carry_out(ReceiveActions actions);
    void carry_out(Settlements::Actions actions) { perform_all(actions); }
    void carry_out(const LockKeeping::Actions& actions) { perform_all(actions); }
    template <class Actions>
    void perform_all(Actions& actions)
    {
        for (auto& action : actions) std::visit([this](auto& each) { this->perform(each); }, action);
    }
    void perform(const Attach& action);
    void perform(const Detach& action);
    void perform(const Grant& action);
    void perform(const SetDrain& action);
    void perform(const GiveBack& action)
    {
        locks_.forget(action.lock_token);
        carry_out(settlements_.give_back(action.lock_token));
    }
    void perform(HandOut& action);
    void perform(const WakeAt& action);
    void perform(const RenewTokens&)
    {
        connection_->renew_tokens();
        if (connection_->may_attach()) carry_out(calls_.connected(connection_->now()));
    }
    void perform(const Reconnect& action) { connection_->drop(action.why); }
    void perform(const Report& action) { connection_->note_error(source_ + ": " + action.problem); }
    void perform(const Settlements::Ask& action);
    static void perform(const Settlements::Forget& action);
    void perform(Settlements::Decided& action);
    void perform(const Settlements::GoesBack& action) { calls_.message_goes_back(action.link); }
    void perform(const Settlements::Gone& action);
    void perform(const LockKeeping::Renew& action) { renew(action.lock, {}); }
    void perform(const LockKeeping::Over& action) { carry_out(settlements_.lock_over(action.lock)); }

    std::optional<ReceivedMessage> take(ReceiveLink& link, pn_delivery_t* delivery, const std::vector<char>& bytes);
    void renew(const LockName& lock, const LockRenewer::Renewed& done);
    void take_back_credit();
    std::vector<escqrs::SettlementResult> wait_for(SettleCall& call);

    Moment moment() const { return {connection_->now(), connection_->time_of_day()}; }
    const AmqpConnectionOptions& connection_options() const noexcept { return connection_->options(); }
    bool confirms() const noexcept { return connection_options().broker.dialect == Dialect::service_bus; }

    AmqpConnection* connection_;
    std::string address_;
    ReceiverOptions options_;
    std::string source_; ///< address and session, for texts
    std::atomic<LinkState> link_state_{LinkState::unknown};

    // of the connection's thread
    ReceiveCalls calls_;
    Settlements settlements_;
    LockKeeping locks_;
    LockRenewer renewer_;
    std::unordered_map<LinkId, std::shared_ptr<ReceiveLink>> links_;
    std::unordered_map<CallId, ReceiveCall*> receive_calls_;
    std::uint64_t last_call_ = 0;
    std::uint64_t last_token_ = 0; ///< where the broker has none

    std::mutex mutex_;     ///< of the calls' ends, and of:
    bool is_quiet_ = true; ///< no message can come
    std::condition_variable_any changed_;
};

static_assert(escqrs::MessageReceiver<MessageReceiver>);

} // namespace service_bus
