// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "lock_renewer.hpp"

#include "management.hpp"

#include <utility>

namespace conference::service_bus {

LockRenewer::LockRenewer(AmqpConnection& connection, const std::string& entity)
    : management_{connection, entity + "/$management"}
{
}

void LockRenewer::renew_message(const std::string& lock_token, Renewed done)
{
    management_.request(renew_lock_request(lock_token), [done = std::move(done)](const Reply& reply) {
        if (!reply.is_success()) done(std::nullopt, reply.condition);
        else done(message_lock_end(reply.message), {});
    });
}

void LockRenewer::renew_session(const std::string& session_id, Renewed done)
{
    management_.request(renew_session_lock_request(session_id), [done = std::move(done)](const Reply& reply) {
        if (!reply.is_success()) done(std::nullopt, reply.condition);
        else done(session_lock_end(reply.message), {});
    });
}

} // namespace conference::service_bus
