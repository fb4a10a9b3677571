// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <string>
#include <vector>

namespace service_bus {

/// Makes of an encoded dead letter the message that is sent in its place: under another id for the queue, with its own as
/// property, and without what the broker and the dead-lettering have added. All else stays as it was: the types of properties,
/// time to live, `to` and `reply-to`, partition key, session.
/// @throws escqrs::TransportError if it cannot be decoded
std::vector<char> encode_resubmission(const std::vector<char>& dead_letter, const std::string& wire_message_id);

} // namespace service_bus
