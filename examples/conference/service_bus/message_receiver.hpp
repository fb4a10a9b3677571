// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "amqp_connection.hpp"
#include "held_messages.hpp"
#include "lock_renewer.hpp"
#include "lock_times.hpp"
#include "message_codec.hpp"
#include "receive_call.hpp"
#include "receive_link.hpp"
#include "unclaimed_messages.hpp"

#include <escqrs/messaging.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <unordered_map>
#include <vector>

namespace service_bus {

struct ReceiverOptions {
    bool sessions = true;          ///< the queue requires sessions; false: it has none (always so with plain AMQP 1.0)
    std::size_t max_sessions = 32; ///< that one `receive` may hold at once
    /// Messages that are locked for us ahead of being asked for; they come quicker, and wait under lock. Not with sessions.
    std::size_t prefetch = 0;
    std::string default_session; ///< that stands for messages without one
    /// A shorter wait is lengthened to this: before the broker has answered, nobody knows whether there is a message.
    escqrs::Duration least_wait = std::chrono::milliseconds{200};
    /// Once there is a message: for further ones, and further sessions. The call ends when none has come for so long.
    escqrs::Duration linger = std::chrono::milliseconds{5};
    escqrs::Duration max_lock_renewal =
        std::chrono::minutes{5};               ///< from receipt on; 0: locks are not renewed by itself
    std::size_t max_message_size = 256 * 1024; ///< that abandoning with properties may not exceed
    /// Hands out what cannot be decoded without what cannot be, instead of dead-lettering it: for a dead-letter queue.
    bool hands_out_undecodable = false;
};

/// Takes messages off a queue, a subscription, or a dead-letter queue under lock: `escqrs::MessageReceiver`.
///
/// Unless prefetching is asked for, the broker is given credit for what a `receive` asked for. The credit is taken back when
/// messages have come; `receive` does not wait for the broker to say so. What comes later is for the next `receive`, or goes
/// back, uncounted, if there is none within a second.
/// Settling returns when the broker has confirmed it. Locks are renewed from receipt on, sessions' as well as messages';
/// when one is lost, `ReceivedMessage::lock_lost` fires. With sessions, a session is held until every message that was
/// received of it is settled, then given free for the fairness of all.
///
/// A lost connection loses the locks of sessions at once; their messages come again, uncounted. Messages of a queue
/// without sessions come again when their locks have run out.
/// Plain AMQP 1.0 has no lock times and no confirmation: settling is final when it is sent, abandoning adds no properties,
/// and how often a message was delivered is counted here only.
/// @par Thread safety  any thread
class MessageReceiver final : ConnectionUser, ReceiveLinkOwner {
public:
    /// @param connection  must outlive the receiver
    MessageReceiver(AmqpConnection& connection, std::string address, ReceiverOptions options = {});

    /// Gives everything back that is still held. No call may be under way.
    ~MessageReceiver() override;

    /// @throws escqrs::TransportError if the broker cannot be reached, or refuses
    std::vector<escqrs::ReceivedMessage> receive(std::size_t at_most, escqrs::Duration wait, std::stop_token stop);

    void settle(const escqrs::ReceivedMessage& message, const escqrs::Disposition& disposition);
    std::vector<escqrs::SettlementResult> settle(std::span<const escqrs::Settlement> settlements);
    void renew_lock(escqrs::ReceivedMessage& message);

    /// Puts a message aside, to be asked for by its sequence number (`ManagementClient::receive_deferred`).
    /// @throws escqrs::MessageLockLost, escqrs::TransportError
    void defer(const escqrs::ReceivedMessage& message);

    /// Gives messages back as if they had never been delivered, and with them the later ones of their sessions. What is not
    /// held any more is left out.
    void release(std::span<const escqrs::ReceivedMessage> messages);

    /// True while links are of use (see `LinkKeeper`), as far as the broker has said.
    bool is_attached() const noexcept { return attached_.load(std::memory_order_relaxed); }

private:
    using CallPointer = std::shared_ptr<ReceiveCall>;

    void on_ready() override;
    void on_lost(const Condition& why) override;
    void on_tick(escqrs::SteadyTime now) override;
    void on_link_open(ReceiveLink& link) override;
    void on_message(ReceiveLink& link, pn_delivery_t* delivery, const std::vector<char>& bytes) override;
    void on_aborted(ReceiveLink& link) override;
    void on_link_idle(ReceiveLink& link) override;
    void on_settled(ReceiveLink& link, pn_delivery_t* delivery) override;
    void on_link_closed(ReceiveLink& link, const Condition& why) override;

    // receiving
    void take_back_credit();
    void note_drained();
    void recruit(const CallPointer& call);
    void enlist(const CallPointer& call, std::unique_ptr<ReceiveLink> link);
    void accept_sessions(const CallPointer& call, std::size_t more);
    void ask_all(ReceiveLink& link);
    void leave(ReceiveLink& link);
    void check(const CallPointer& call);
    void check_at(escqrs::SteadyTime moment, const CallPointer& call);
    void conclude(const CallPointer& call);
    void finish(const CallPointer& call);
    void react_to_end(const LinkLife& life, const Condition& why, const CallPointer& call);
    void watch_links(escqrs::SteadyTime now);
    void note_health() noexcept { attached_ = keeper_.is_well(); }
    CallPointer call_of(const ReceiveLink& link) const;
    void linger(const CallPointer& call);
    void leave_all(const CallPointer& call);
    bool is_adoptable(const ReceiveLink& link) const;
    static void stop_waiting(ReceiveLink& link);
    std::optional<escqrs::ReceivedMessage> take(ReceiveLink& link, pn_delivery_t* delivery,
                                                const std::vector<char>& bytes);
    void claim(const CallPointer& call);
    void hand_over(const CallPointer& call, std::vector<escqrs::ReceivedMessage> messages);
    void give_back_unclaimed(escqrs::SteadyTime now);
    void end_drained_links(escqrs::SteadyTime now);
    void give_back(ReceiveLink& link, pn_delivery_t* delivery);
    std::uint32_t count_delivery(const DecodedMessage& decoded);

    // settling
    void begin(std::span<const escqrs::Settlement> settlements, SettleCall& call);
    void begin_one(HeldMessage& held, const escqrs::Settlement& settlement, SettleCall& call, std::size_t index);
    void give_back_later_ones(const HeldMessage& earlier);
    std::vector<escqrs::SettlementResult> wait_for(SettleCall& call);
    void note_decided(SettleCall& call, std::size_t count);
    void resolve(HeldMessage& held, escqrs::SettlementResult result, const std::string& error);

    // locks
    struct LockEnd {
        escqrs::Timestamp time_of_day; ///< until when it surely lasts, by this machine's clock
        escqrs::SteadyTime renew_by;   ///< the same
        escqrs::SteadyTime moment;     ///< when it is over
    };
    LockEnd end_of_lock(escqrs::Timestamp locked_until) const;
    template <class Locked>
    static void put_lock(Locked& locked, const LockEnd& lock)
    {
        locked.locked_until = lock.time_of_day;
        locked.renew_by = lock.renew_by;
        locked.lock_end = lock.moment;
    }
    /// Past the time that a lock surely lasts it may last still, but need not be tried without a pause.
    template <class Locked>
    void pause_renewal(Locked& locked) const
    {
        locked.renew_by = std::max(locked.renew_by, later_by(connection_->now(), std::chrono::seconds{1}));
    }
    void compare_clocks(const escqrs::ReceivedMessage& received);
    void renew_locks(escqrs::SteadyTime now);
    void renew_session_of(ReceiveLink& link);
    void renew_message(HeldMessage& held);
    void note_renewed(const std::string& token, escqrs::Timestamp until);
    void note_lost(const std::string& token);
    void forget(HeldMessage& held);

    void close_if_unused(ReceiveLink& link);
    void close(ReceiveLink& link);
    const AmqpConnectionOptions& connection_options() const noexcept { return connection_->options(); }
    bool confirms() const noexcept { return connection_options().broker.dialect == Dialect::service_bus; }
    /// Whether credit outlives the call it was given for. Plain AMQP 1.0 cannot be relied on to take it back.
    bool keeps_credit() const noexcept { return !confirms() || options_.prefetch > 0; }

    AmqpConnection* connection_;
    std::string address_;
    ReceiverOptions options_;
    std::atomic<bool> attached_{false};

    // of the connection's thread
    std::list<std::unique_ptr<ReceiveLink>> links_;
    std::vector<CallPointer> calls_;
    HeldMessages held_;
    UnclaimedMessages unclaimed_; ///< held, and not handed out
    LockRenewer renewer_;
    LockTimes lock_times_;
    bool clocks_agree_ = true;
    LinkKeeper keeper_;
    std::unordered_map<std::string, std::uint32_t> deliveries_; ///< by message id, where the broker does not count
    std::uint64_t last_token_ = 0;

    std::mutex mutex_;         ///< of the calls' ends, and of:
    std::size_t draining_ = 0; ///< links whose credit is being taken back for good
    std::condition_variable_any changed_;
};

static_assert(escqrs::MessageReceiver<MessageReceiver>);

} // namespace service_bus
