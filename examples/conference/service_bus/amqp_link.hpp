// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "link_keeper.hpp"
#include "recovery.hpp"

#include <proton/condition.h>
#include <proton/event.h>
#include <proton/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace service_bus {

class AmqpConnection;

/// Learns what happens to a link, on the connection's thread.
class LinkEvents {
public:
    LinkEvents() = default;
    LinkEvents(const LinkEvents&) = delete;
    LinkEvents& operator=(const LinkEvents&) = delete;
    virtual ~LinkEvents() = default;

    /// The peer has attached.
    virtual void on_attached() {}
    /// The peer has refused or ended the link, or the connection is gone; nothing of the link can be used any more.
    virtual void on_detached(const Condition& why) = 0;
    /// The link's credit has changed.
    virtual void on_flow() {}
    /// A delivery has arrived, or the peer has said what becomes of one.
    virtual void on_delivery(pn_delivery_t* /*delivery*/) {}
};

/// One end of a link. Detaches when it goes away.
/// @par Thread safety  on the connection's thread only
class AmqpLink {
public:
    /// What to set up before the attach is sent.
    using Setup = std::function<void(pn_link_t*)>;

    enum class Direction : bool { send, receive };

    /// Attaches to `address`.
    AmqpLink(AmqpConnection& connection, Direction direction, const std::string& address, LinkEvents& events,
             const Setup& set_up = {});
    ~AmqpLink();

    AmqpLink(const AmqpLink&) = delete;
    AmqpLink& operator=(const AmqpLink&) = delete;

    /// The link, or null once it was detached.
    pn_link_t* get() const noexcept { return link_; }
    bool is_attached() const noexcept { return life_.attached_at && link_ != nullptr; }
    /// Lasts when it is detached.
    const LinkLife& life() const noexcept { return life_; }

    /// Detaches now; the owner learns nothing more.
    void close() noexcept;

private:
    friend class AmqpConnection;

    /// Gives an event of a link to its owner.
    static void dispatch(pn_event_t* event);
    void attached();
    void detached(const Condition& why);

    AmqpConnection* connection_;
    LinkEvents* events_;
    pn_link_t* link_ = nullptr;
    LinkLife life_;
};

Condition to_condition(pn_condition_t* condition);

/// Gives up a delivery that is larger than any message of Service Bus, because it may never end and would fill the memory.
/// @return the error with which its link must end; nothing while the delivery is not too large
std::optional<Condition> refuse_too_large(pn_delivery_t* delivery);

} // namespace service_bus
