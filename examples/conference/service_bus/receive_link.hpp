// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "amqp_connection.hpp"
#include "amqp_link.hpp"

#include <escqrs/clock.hpp>

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace service_bus {

class ReceiveLink;
struct ReceiveCall;

/// What a broker may take to say that nothing more comes. Azure was seen to take seconds, or not to answer; Microsoft's
/// client for JavaScript waits as long.
inline constexpr std::chrono::milliseconds drain_patience{200};

/// Who is told what comes over a receiving link. Each call may end the link.
class ReceiveLinkOwner {
public:
    ReceiveLinkOwner() = default;
    ReceiveLinkOwner(const ReceiveLinkOwner&) = delete;
    ReceiveLinkOwner& operator=(const ReceiveLinkOwner&) = delete;
    virtual ~ReceiveLinkOwner() = default;

    virtual void on_link_open(ReceiveLink& link) = 0;
    virtual void on_message(ReceiveLink& link, pn_delivery_t* delivery, const std::vector<char>& bytes) = 0;
    /// The broker has aborted a delivery that it had begun.
    virtual void on_aborted(ReceiveLink& link) = 0;
    /// No more messages come: the credit is used up, or there are none.
    virtual void on_link_idle(ReceiveLink& link) = 0;
    /// The broker has answered what it was asked to do with a delivery.
    virtual void on_settled(ReceiveLink& link, pn_delivery_t* delivery) = 0;
    virtual void on_link_closed(ReceiveLink& link, const Condition& why) = 0;
};

/// A link that receives under lock: from a queue, or from one session of it. It has credit only while somebody asks.
/// @par Thread safety  on the connection's thread only
class ReceiveLink final : LinkEvents {
public:
    /// From the whole queue, which must not require sessions.
    ReceiveLink(AmqpConnection& connection, const std::string& address, ReceiveLinkOwner& owner);

    /// From the next free session that has a message. If there is none for `wait`, the broker refuses the link with
    /// `com.microsoft:timeout`.
    ReceiveLink(AmqpConnection& connection, const std::string& address, escqrs::Duration wait, ReceiveLinkOwner& owner);

    /// Has credit for so many messages more than it was asked for; what is left of earlier credit counts. Calls off a drain.
    void ask(std::size_t messages);

    /// Asks for the end of what is there: then comes `on_link_idle`. Nothing if that was asked already.
    void drain(escqrs::SteadyTime now);

    /// Whether the broker has let this moment pass without an answer to a drain.
    bool is_draining_since(escqrs::SteadyTime moment) const noexcept { return draining_ && drain_asked_at_ <= moment; }
    /// Whether a drain was asked for at this moment or before, and nothing has come from the broker since.
    bool is_silent_since(escqrs::SteadyTime moment) const noexcept { return silent_since_ && *silent_since_ <= moment; }

    /// Detaches now; nothing more is told to the owner.
    void close() noexcept { link_.close(); }

    bool is_open() const noexcept { return link_.is_attached(); }
    const LinkLife& life() const noexcept { return link_.life(); }
    /// How long the broker may wait for a session before it answers the attach.
    escqrs::Duration accept_wait() const noexcept { return accept_wait_; }
    bool has_session() const noexcept { return has_session_; }
    const std::string& session_id() const noexcept { return session_id_; }

    /// Takes back credit that is still open. @return how much it was
    std::size_t withdraw_credit() noexcept;
    std::size_t credit() const noexcept { return credit_; }
    /// Messages that the broker may still send, whoever has asked for them.
    std::size_t outstanding() const noexcept;

    escqrs::Timestamp locked_until{}; ///< the session's lock, by this machine's time of day
    escqrs::SteadyTime lock_end{};
    escqrs::SteadyTime renew_by{};    ///< until when the lock surely lasts
    escqrs::SteadyTime locked_at{};   ///< when it was got, or renewed last
    escqrs::SteadyTime renew_until{}; ///< after which it is not renewed by itself
    bool is_renewing = false;
    std::size_t unsettled = 0;   ///< deliveries that the broker still counts as ours
    ReceiveCall* call = nullptr; ///< for which it collects at the moment
    bool is_waiting = false;     ///< for a session, or for a message that may never come
    bool is_ending = false;      ///< a message of its session went back: what comes from now on would overtake it

private:
    void on_attached() override;
    void on_detached(const Condition& why) override;
    void on_flow() override;
    void on_delivery(pn_delivery_t* delivery) override;

    ReceiveLinkOwner* owner_;
    bool has_session_ = false;
    escqrs::Duration accept_wait_{};
    std::string session_id_;
    std::size_t credit_ = 0; ///< of the current asking
    bool draining_ = false;
    bool drain_was_called_off_ = false; ///< and its answer may still come, and take credit
    escqrs::SteadyTime drain_asked_at_{};
    std::optional<escqrs::SteadyTime> silent_since_;
    AmqpLink link_; ///< last: it attaches at once
};

} // namespace service_bus
