// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "amqp_link.hpp"

#include "amqp_connection.hpp"

#include <escqrs/core/id_generator.hpp>

#include <proton/delivery.h>
#include <proton/event.h>
#include <proton/link.h>
#include <proton/session.h>
#include <proton/terminus.h>

#include <cstddef>
#include <utility>

namespace service_bus {
namespace {

std::string text(const char* found) { return found != nullptr ? found : ""; }

} // namespace

Condition to_condition(pn_condition_t* condition)
{
    if (condition == nullptr || !pn_condition_is_set(condition)) return {};
    return {text(pn_condition_get_name(condition)), text(pn_condition_get_description(condition))};
}

std::optional<Condition> refuse_too_large(pn_delivery_t* delivery)
{
    constexpr std::size_t mebibyte = std::size_t{1} << 20U;
    constexpr std::size_t largest = 101 * mebibyte; // the most that can be sent, and room for what the broker adds
    if (pn_delivery_pending(delivery) <= largest) return std::nullopt;
    pn_delivery_update(delivery, PN_RELEASED);
    pn_delivery_settle(delivery); // Proton drops the bytes that still come
    return Condition{"amqp:link:message-size-exceeded", "a delivery is larger than 101 MiB"};
}

AmqpLink::AmqpLink(AmqpConnection& connection, Direction direction, const std::string& address, LinkEvents& events,
                   const Setup& set_up)
    : connection_{&connection}, events_{&events}
{
    const std::string name = escqrs::to_string(escqrs::random_uuid());
    const bool sends = direction == Direction::send;
    link_ = sends ? pn_sender(connection.session_, name.c_str()) : pn_receiver(connection.session_, name.c_str());
    pn_terminus_set_address(sends ? pn_link_target(link_) : pn_link_source(link_), address.c_str());
    pn_link_set_context(link_, this);
    if (set_up) set_up(link_);
    life_.asked_at = connection.now();
    pn_link_open(link_);
    connection.links_.insert(this);
}

AmqpLink::~AmqpLink() { close(); }

void AmqpLink::close() noexcept
{
    connection_->links_.erase(this);
    if (link_ == nullptr) return;
    // It is freed when the peer has closed it too: until then its attach may still be on its way.
    pn_link_t* const link = std::exchange(link_, nullptr);
    pn_link_set_context(link, nullptr);
    pn_link_close(link);
}

void AmqpLink::attached()
{
    life_.attached_at = connection_->now();
    events_->on_attached();
}

void AmqpLink::detached(const Condition& why)
{
    connection_->links_.erase(this);
    if (link_ != nullptr) {
        pn_link_t* const link = std::exchange(link_, nullptr);
        pn_link_set_context(link, nullptr);
        pn_link_close(link);
        pn_link_free(link);
    }
    events_->on_detached(why); // may end this object
}

void AmqpLink::dispatch(pn_event_t* event)
{
    const pn_event_type_t type = pn_event_type(event);
    pn_link_t* const link = pn_event_link(event);
    auto* const owner = static_cast<AmqpLink*>(pn_link_get_context(link));
    const bool is_end = type == PN_LINK_REMOTE_CLOSE || type == PN_LINK_REMOTE_DETACH;
    if (owner == nullptr) {
        if (is_end) pn_link_free(link); // we had closed it ourselves before
        else if (type == PN_DELIVERY) (void)refuse_too_large(pn_event_delivery(event));
        return;
    }
    if (is_end) {
        owner->detached(to_condition(pn_link_remote_condition(link)));
    } else if (type == PN_LINK_REMOTE_OPEN) {
        // A refused link is answered with an attach that names no node, and is closed right after it.
        pn_terminus_t* const node = pn_link_is_sender(link) ? pn_link_remote_target(link) : pn_link_remote_source(link);
        if (pn_terminus_get_type(node) != PN_UNSPECIFIED) owner->attached();
    } else if (type == PN_LINK_FLOW) {
        owner->events_->on_flow();
    } else {
        owner->life_.has_moved = true;
        if (owner->connection_->ready_) owner->connection_->life_.has_moved = true;
        owner->events_->on_delivery(pn_event_delivery(event));
    }
}

} // namespace service_bus
