// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "receive_link.hpp"

#include "proton_bytes.hpp"
#include "request_link.hpp"
#include "wire_time.hpp"

#include <proton/codec.h>
#include <proton/delivery.h>
#include <proton/link.h>
#include <proton/terminus.h>

#include <algorithm>
#include <limits>
#include <string_view>

namespace service_bus {
namespace {

constexpr std::string_view session_filter = "com.microsoft:session-filter";
constexpr std::string_view attach_timeout = "com.microsoft:timeout";
constexpr std::string_view session_locked_until = "com.microsoft:locked-until-utc";

std::string text(pn_bytes_t found) { return {found.start, found.size}; }

void under_lock(pn_link_t* link, Dialect dialect)
{
    pn_link_set_snd_settle_mode(link, PN_SND_UNSETTLED);
    // Settle mode second has the broker confirm what it was asked to do; RabbitMQ does not have it.
    pn_link_set_rcv_settle_mode(link, dialect == Dialect::service_bus ? PN_RCV_SECOND : PN_RCV_FIRST);
}

void of_session(pn_link_t* link, const std::optional<std::string>& session_id, escqrs::Duration wait)
{
    pn_data_t* const filter = pn_terminus_filter(pn_link_source(link));
    pn_data_put_map(filter);
    pn_data_enter(filter);
    pn_data_put_symbol(filter, proton_bytes(session_filter));
    if (session_id) pn_data_put_string(filter, proton_bytes(*session_id));
    else pn_data_put_null(filter); // the next one
    pn_data_exit(filter);
    const auto milliseconds = std::clamp<std::int64_t>(std::chrono::ceil<std::chrono::milliseconds>(wait).count(), 1,
                                                       std::numeric_limits<std::int32_t>::max());
    pn_data_t* const properties = pn_link_properties(link);
    pn_data_put_map(properties);
    pn_data_enter(properties);
    pn_data_put_symbol(properties, proton_bytes(attach_timeout));
    pn_data_put_uint(properties, static_cast<std::uint32_t>(milliseconds));
    pn_data_exit(properties);
}

/// Goes to the value of an entry of a map. @return false if there is none
bool find_entry(pn_data_t* data, std::string_view name)
{
    if (data == nullptr) return false;
    pn_data_rewind(data);
    if (!pn_data_next(data) || pn_data_type(data) != PN_MAP) return false;
    const std::size_t entries = pn_data_get_map(data) / 2;
    pn_data_enter(data);
    for (std::size_t entry = 0; entry < entries && pn_data_next(data); ++entry) {
        const pn_type_t type = pn_data_type(data);
        const std::string key = type == PN_SYMBOL   ? text(pn_data_get_symbol(data))
                                : type == PN_STRING ? text(pn_data_get_string(data))
                                                    : std::string{};
        if (!pn_data_next(data)) return false;
        if (key == name) return true;
    }
    return false;
}

std::string session_of(pn_link_t* link)
{
    pn_data_t* const filter = pn_terminus_filter(pn_link_remote_source(link));
    if (!find_entry(filter, session_filter)) return {};
    if (pn_data_is_described(filter)) { // its descriptor first, then the value
        pn_data_enter(filter);
        pn_data_next(filter);
        pn_data_next(filter);
    }
    return pn_data_type(filter) == PN_STRING ? text(pn_data_get_string(filter)) : std::string{};
}

escqrs::Timestamp lock_end_of(pn_link_t* link, escqrs::Timestamp unknown)
{
    pn_data_t* const properties = pn_link_remote_properties(link);
    if (!find_entry(properties, session_locked_until)) return unknown;
    if (pn_data_type(properties) == PN_LONG) return from_dotnet_ticks(pn_data_get_long(properties));
    if (pn_data_type(properties) == PN_TIMESTAMP) return from_amqp_timestamp(pn_data_get_timestamp(properties));
    return unknown;
}

} // namespace

ReceiveLink::ReceiveLink(AmqpConnection& connection, const std::string& address, LinkId id,
                         std::optional<escqrs::Duration> session_wait, const std::optional<std::string>& session_id,
                         ReceiveLinkOwner& owner)
    : id_{id}, owner_{&owner}, has_session_{session_wait.has_value()},
      link_{connection, AmqpLink::Direction::receive, address, *this, [&](pn_link_t* link) {
                under_lock(link, connection.options().broker.dialect);
                if (session_wait) of_session(link, session_id, *session_wait);
            }}
{
}

void ReceiveLink::grant(std::size_t credit)
{
    if (link_.get() != nullptr) pn_link_flow(link_.get(), static_cast<int>(credit));
}

void ReceiveLink::set_drain(bool on)
{
    if (link_.get() != nullptr) pn_link_set_drain(link_.get(), on);
}

std::size_t ReceiveLink::outstanding() const noexcept
{
    pn_link_t* const link = link_.get();
    return link != nullptr ? static_cast<std::size_t>(std::max(pn_link_credit(link), 0)) : 0;
}

void ReceiveLink::on_attached()
{
    if (has_session_) {
        session_id_ = session_of(link_.get());
        locked_until_ = lock_end_of(link_.get(), escqrs::Timestamp::max());
    }
    owner_->on_link_open(*this);
}

void ReceiveLink::on_delivery(pn_delivery_t* delivery)
{
    if (const auto why = refuse_too_large(delivery)) return owner_->on_link_closed(*this, *why);
    if (pn_delivery_aborted(delivery)) {
        pn_delivery_settle(delivery);
        owner_->on_aborted(*this);
    } else if (const auto bytes = receive_bytes(delivery)) {
        owner_->on_message(*this, delivery, *bytes);
    } else if (pn_delivery_settled(delivery) && !pn_delivery_partial(delivery)) {
        owner_->on_settled(*this, delivery);
    }
}

} // namespace service_bus
