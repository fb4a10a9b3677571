// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "request_link.hpp"

#include <escqrs/core/clock.hpp>

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace service_bus {

/// Renews locks by way of the entity's management node.
/// See https://learn.microsoft.com/azure/service-bus-messaging/service-bus-amqp-request-response
/// @par Thread safety  on the connection's thread only
class LockRenewer {
public:
    /// Gets the new end of the lock, or nothing and the reason.
    using Renewed = std::function<void(std::optional<escqrs::Timestamp> locked_until, const Condition& why)>;

    LockRenewer(AmqpConnection& connection, const std::string& entity);

    /// @param lock_token  as the delivery's tag tells it
    void renew_message(const std::string& lock_token, Renewed done);
    void renew_session(const std::string& session_id, Renewed done);

    /// Detaches; pending renewals fail.
    void close() { management_.close(); }

    /// To be called when the connection is lost.
    void connection_lost() noexcept { management_.connection_lost(); }

    /// To be called now and then.
    void tick(escqrs::SteadyTime now) { management_.tick(now); }

private:
    RequestLink management_;
};

} // namespace service_bus
