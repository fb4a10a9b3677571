// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "connection_string.hpp"
#include "message.hpp"

#include <escqrs/messaging/message_queue.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

struct pn_message_t;

namespace service_bus {

/// Name of the application property that carries the message id of a message that was given back from the dead letters:
/// the queue knows it under another id, or it would drop it as a duplicate.
inline constexpr const char* original_message_id = "escqrs-original-message-id";

/// What a message on the wire says.
struct DecodedMessage {
    ReceivedMessage received; ///< without lock token
    std::string dead_letter_reason;
    std::string dead_letter_description;
    std::optional<escqrs::Timestamp> dead_lettered_at;
    bool is_first_acquirer = true; ///< false: it may have been delivered before
    bool is_whole = true;          ///< false: something could not be decoded
};

/// Encodes a message as AMQP 1.0 has it: texts in the properties section, named texts as application properties, the
/// body as one data section. A W3C `traceparent` (CloudEvents' or a plain property) is written as `Diagnostic-Id`, too,
/// where Azure's SDKs look for it.
/// @param details          the time to live is cut to milliseconds
/// @param message          its texts must be UTF-8, which `MessageSender` has checked
/// @param wire_message_id  the id that the queue is to see
/// @param default_session  session of a message that has none; empty: it goes without
/// @throws escqrs::MessageRefused if the dialect has no word for a part of it
std::vector<char> encode_message(const escqrs::Message& message, const MessageDetails& details,
                                 const std::string& wire_message_id, const std::string& default_session,
                                 Dialect dialect);

/// The bytes of a message; nothing if Proton cannot encode it.
std::optional<std::vector<char>> encode_wire(pn_message_t* message, std::size_t expected_size);

/// Decodes a message. Application properties that are no texts become texts. A `Diagnostic-Id` that repeats the
/// `traceparent` is left out; it stands for the one of a CloudEvent that has none.
/// @param default_session  session that stands for none
/// @throws escqrs::TransportError if the bytes are no message, or its body is neither bytes nor text
DecodedMessage decode_message(const std::vector<char>& bytes, const std::string& default_session);

/// As `decode_message`, but what cannot be decoded is left out: first the body, then also all but the broker's own
/// annotations. The reason is in the dead letter's description, if that has nothing else.
/// @throws escqrs::TransportError if not even the annotations can be read
DecodedMessage decode_dead_letter(const std::vector<char>& bytes, const std::string& default_session);

} // namespace service_bus
