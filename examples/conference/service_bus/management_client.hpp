// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "amqp_connection.hpp"
#include "request_link.hpp"

#include <escqrs/messaging.hpp>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace service_bus {

/// Deferred messages, and the state that is kept with a session: what a queue's `$management` node is asked for.
/// @par Thread safety  any thread
class ManagementClient final : ConnectionUser {
public:
    /// @param connection  must outlive the client
    ManagementClient(AmqpConnection& connection, const std::string& entity, std::string default_session);
    ~ManagementClient() override;

    /// Locks messages that were deferred; a queue hands them out in no other way. Their locks are not renewed by itself.
    /// @param session_id  theirs, held by a receive of this connection; empty: the queue has no sessions
    /// @throws escqrs::TransportError if one of them is not there; then none is locked
    std::vector<escqrs::ReceivedMessage> receive_deferred(std::span<const std::uint64_t> sequence_numbers,
                                                          const std::string& session_id = {});

    /// Settles what `receive_deferred` has given.
    /// @throws escqrs::MessageLockLost, escqrs::TransportError
    void settle_deferred(const escqrs::ReceivedMessage& message, const escqrs::Disposition& disposition);

    /// What was last set for a session; nothing if nothing was.
    /// @param session_id  held by a receive of this connection
    /// @throws escqrs::TransportError if it is not held, or the broker does not answer
    std::optional<std::string> session_state(const std::string& session_id);

    /// @param state  nothing: the session is to have none any more
    void set_session_state(const std::string& session_id, const std::optional<std::string>& state);

private:
    void on_ready() override {}
    void on_lost(const Condition&) override { management_.connection_lost(); }
    void on_tick(escqrs::SteadyTime now) override { management_.tick(now); }

    void require_service_bus() const;

    AmqpConnection* connection_;
    std::string default_session_;
    RequestLink management_;
};

} // namespace service_bus
