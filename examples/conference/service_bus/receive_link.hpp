// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "amqp_connection.hpp"
#include "amqp_link.hpp"
#include "link_id.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace service_bus {

class ReceiveLink;

/// Learns what comes over receiving links.
class ReceiveLinkOwner {
public:
    ReceiveLinkOwner() = default;
    ReceiveLinkOwner(const ReceiveLinkOwner&) = delete;
    ReceiveLinkOwner& operator=(const ReceiveLinkOwner&) = delete;
    virtual ~ReceiveLinkOwner() = default;

    // Each may end the link.
    virtual void on_link_open(ReceiveLink& link) = 0;
    virtual void on_link_closed(ReceiveLink& link, const Condition& why) = 0;
    /// The broker has told its side of the credit.
    virtual void on_link_flow(ReceiveLink& link) = 0;
    virtual void on_message(ReceiveLink& link, pn_delivery_t* delivery, const std::vector<char>& bytes) = 0;
    /// The broker has aborted a delivery that it had begun.
    virtual void on_aborted(ReceiveLink& link) = 0;
    /// The broker has answered what it was asked to do with a delivery.
    virtual void on_settled(ReceiveLink& link, pn_delivery_t* delivery) = 0;
};

/// A link that receives under lock: from a queue, or from one session of it. It has no credit at first.
/// @par Thread safety  on the connection's thread only
class ReceiveLink final : LinkEvents {
public:
    /// @param session_wait  nothing: from the whole queue, which must not require sessions. Else from one session; if there is none
    ///        for so long, the broker refuses the link with `com.microsoft:timeout`
    /// @param session_id  nothing: the next free session that has a message
    ReceiveLink(AmqpConnection& connection, const std::string& address, LinkId id,
                std::optional<escqrs::Duration> session_wait, const std::optional<std::string>& session_id,
                ReceiveLinkOwner& owner);

    LinkId id() const noexcept { return id_; }
    /// The session that was accepted.
    const std::string& session_id() const noexcept { return session_id_; }
    bool has_session() const noexcept { return has_session_; }
    /// Its lock's end, by the broker's clock.
    escqrs::Timestamp locked_until() const noexcept { return locked_until_; }

    void grant(std::size_t credit);
    void set_drain(bool on);
    /// Messages that the broker may still send.
    std::size_t outstanding() const noexcept;

    /// Detaches now; the owner learns nothing more.
    void close() noexcept { link_.close(); }

private:
    void on_attached() override;
    void on_detached(const Condition& why) override { owner_->on_link_closed(*this, why); }
    void on_flow() override { owner_->on_link_flow(*this); }
    void on_delivery(pn_delivery_t* delivery) override;

    LinkId id_;
    ReceiveLinkOwner* owner_;
    bool has_session_;
    std::string session_id_;
    escqrs::Timestamp locked_until_{};
    AmqpLink link_; ///< last: it attaches at once
};

} // namespace service_bus
