// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "receiver_options.hpp"

#include <escqrs/core/error.hpp>
#include <escqrs/messaging/message_queue_rules.hpp>

#include <span>

namespace service_bus {

void check_options(const ReceiverOptions& options, const std::string& address, Dialect dialect)
{
    if (!options.session_id) return;
    const auto refuse = [&](const std::string& why) {
        throw escqrs::TransportError{"receiving from '" + address + "': a session id is given, but " + why};
    };
    if (dialect == Dialect::amqp10) refuse("plain AMQP 1.0 has no sessions");
    if (!options.sessions) refuse("the receiver is to receive without sessions");
    escqrs::Message of_session;
    of_session.message_id = "of the session";
    of_session.session_id = *options.session_id;
    try {
        escqrs::message_queue_rules::check_messages(std::span{&of_session, 1}, {});
    } catch (const escqrs::MessageRefused&) {
        refuse("no message can have it: expected UTF-8 of 1 to 128 bytes without a NUL, found " +
               std::to_string(options.session_id->size()) + " bytes");
    }
    if (options.session_id->empty()) refuse("it is empty");
}

} // namespace service_bus
