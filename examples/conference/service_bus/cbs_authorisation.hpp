// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "amqp_connection.hpp"
#include "request_link.hpp"
#include "token_schedule.hpp"

#include <functional>
#include <map>
#include <string>

namespace service_bus {

/// Puts the tokens of one connection on `$cbs` (claims-based security), before any other link is attached, and again
/// ahead of their expiry. See https://learn.microsoft.com/azure/service-bus-messaging/service-bus-amqp-protocol-guide
/// @par Thread safety  on the connection's thread only
class CbsAuthorisation {
public:
    /// @param authorised  called once, when the broker has taken the first token of every audience
    CbsAuthorisation(AmqpConnection& connection, std::function<void()> authorised);

    void tick();

    /// Puts all tokens again now.
    void renew();

private:
    void put(const std::string& audience);
    void answered(const std::string& audience, escqrs::SteadyTime expires_at, const Reply& reply);

    AmqpConnection* connection_;
    std::function<void()> authorised_;
    RequestLink link_;
    std::map<std::string, TokenSchedule> schedules_; ///< by audience
    bool is_announced_ = false;
};

} // namespace service_bus
