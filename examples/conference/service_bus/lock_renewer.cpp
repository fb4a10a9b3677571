// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "lock_renewer.hpp"

#include "management.hpp"

#include <exception>
#include <utility>

namespace service_bus {
namespace {

using EndOfLock = std::optional<escqrs::Timestamp> (*)(const proton::message& answer);

/// Tells the lock's end as the answer has it; whatever the answer is, it tells something.
RequestLink::Callback with_end(EndOfLock end_of_lock, LockRenewer::Renewed done)
{
    return [end_of_lock, done = std::move(done)](const Reply& reply) {
        if (!reply.is_success()) return done(std::nullopt, reply.condition);
        std::optional<escqrs::Timestamp> until;
        std::string problem = "the answer names no end of the lock";
        try {
            until = end_of_lock(reply.message);
        } catch (const std::exception& error) {
            problem = std::string{"the answer cannot be read: "} + error.what();
        }
        if (until) done(until, {});
        else done(std::nullopt, {"", problem});
    };
}

} // namespace

LockRenewer::LockRenewer(AmqpConnection& connection, const std::string& entity)
    : management_{connection, entity + "/$management"}
{
}

void LockRenewer::renew_message(const std::string& lock_token, Renewed done)
{
    std::optional<proton::message> request;
    try {
        request = renew_lock_request(lock_token);
    } catch (const std::exception& error) { // a token as only another kind of broker has it
        return done(std::nullopt, {"", error.what()});
    }
    management_.request(*std::move(request), with_end(message_lock_end, std::move(done)));
}

void LockRenewer::renew_session(const std::string& session_id, Renewed done)
{
    management_.request(renew_session_lock_request(session_id), with_end(session_lock_end, std::move(done)));
}

} // namespace service_bus
