// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "property_value.hpp"

#include <escqrs/messaging/message_queue.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace service_bus {

/// What a message at Service Bus has beyond `escqrs::Message`. A text that is empty is not there.
struct MessageDetails {
    std::string to = {};
    std::string reply_to = {};
    std::string reply_to_session_id = {};
    std::string partition_key = {};                    ///< at most 128 bytes; with a session, the same as its id
    std::optional<escqrs::Duration> time_to_live = {}; ///< up to 49 days; nothing: the queue's own
    std::vector<std::pair<std::string, PropertyValue>> typed_properties = {}; ///< besides the texts in `properties`

    friend bool operator==(const MessageDetails&, const MessageDetails&) = default;
};

/// A message with all that Service Bus knows of one.
struct Message : escqrs::Message, MessageDetails {};

/// A message handed out under a lock, with all that Service Bus knows of it. Its `message.properties` hold the typed properties,
/// too, as texts.
struct ReceivedMessage : escqrs::ReceivedMessage, MessageDetails {};

/// The message as its sender gave it, with the typed properties apart: to look at, or to send on.
Message to_message(ReceivedMessage received);

/// @throws escqrs::MessageRefused if a queue would refuse it (`escqrs::message_queue_rules`), a text is not UTF-8 or has a zero
///         byte, or a property has no name or is named twice
void check_message(const Message& message, const escqrs::MessageQueueOptions& limits = {});

/// A message that was looked at, not locked.
struct PeekedMessage {
    Message message;
    std::uint64_t sequence_number = 0;
    std::uint32_t delivery_count = 0; ///< deliveries that have ended
    escqrs::Timestamp enqueued_at{};
};

} // namespace service_bus
