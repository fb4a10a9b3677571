// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/config.hpp>
#include <escqrs/core/check_option.hpp>
#include <escqrs/core/error.hpp>
#include <escqrs/core/id_generator.hpp>
#include <escqrs/core/text.hpp>
#include <escqrs/messaging/message_queue.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

/// The rules that all queues of this library share: which messages and options a queue refuses, and what it writes on a
/// message that it dead-letters. No I/O.
///
/// Your own queue that calls these functions refuses what the library's queues refuse, with the same texts:
/// - `send` calls `check_messages` before it stores anything,
/// - `settle` calls `check_disposition` for every message before it settles any, and `throw_lock_lost` if the lock is
///   gone,
/// - the constructor calls `check_options`.
/// @par Thread safety  all functions may be called from any thread
namespace escqrs::inline v0::message_queue_rules {

/// Service Bus limits, in bytes, of a message id, a session id, and of a dead-letter reason and description each.
inline constexpr std::size_t max_message_id_length = 128;
/// In bytes.
inline constexpr std::size_t max_session_id_length = 128;
/// In bytes, of the reason and of the description each; longer ones are cut.
inline constexpr std::size_t max_dead_letter_text_length = 4096;

/// The dead-letter reason of a message that was delivered too often.
inline constexpr const char* max_delivery_count_exceeded = "MaxDeliveryCountExceeded";

/// Bytes that count against `MessageQueueOptions::max_message_size`.
inline std::size_t message_size(const Message& message) noexcept
{
    std::size_t size =
        message.body.size() + message.subject.size() + message.correlation_id.size() + message.content_type.size();
    for (const auto& [name, value] : message.properties) size += name.size() + value.size();
    return size;
}

/// Throws a `MessageRefused` that names the message and says why.
[[noreturn]] inline void refuse_message(const Message& message, const std::string& why)
{
    const std::string& id = message.message_id;
    const bool is_text = archive::detail::is_utf8(id) && id.find('\0') == std::string::npos;
    throw MessageRefused{id, "message '" + (is_text ? id.substr(0, max_message_id_length) : "?") + "' refused: " + why};
}

/// @throws MessageRefused if the message has more than `max_message_size` bytes
ESCQRS_INLINE void check_size(const Message& message, const MessageQueueOptions& options);

/// @param properties  those of the message, or those to add to it
/// @throws MessageRefused if a property is not UTF-8, has no name, or is named twice
ESCQRS_INLINE void check_properties(const Message& message, const MessageProperties& properties);

/// Checks ids, texts, properties and size of a message before it is sent.
/// @throws MessageRefused naming the message, the field, the limit and what was found
ESCQRS_INLINE void check_message(const Message& message, const MessageQueueOptions& options);

/// @throws MessageRefused for the first message that `check_message` refuses
ESCQRS_INLINE void check_messages(std::span<const Message> messages, const MessageQueueOptions& options);

/// Sets the properties of an abandoned message: one that it has already gets the new text.
ESCQRS_INLINE void merge_properties(MessageProperties& properties, const MessageProperties& added);

/// @throws MessageRefused if the properties of an `Abandon` would make the message one that the queue does not take
ESCQRS_INLINE void check_disposition(const ReceivedMessage& received, const Disposition& disposition,
                                     const MessageQueueOptions& options);

/// Cuts a reason or description to what a dead-lettered message may carry, between two UTF-8 characters.
ESCQRS_INLINE std::string_view dead_letter_text(std::string_view text) noexcept;

/// The dead-letter description that goes with `max_delivery_count_exceeded`.
ESCQRS_INLINE std::string max_delivery_count_description(std::uint32_t delivery_count);

#if ESCQRS_HAS_BODIES

ESCQRS_INLINE void check_size(const Message& message, const MessageQueueOptions& options)
{
    if (const std::size_t size = message_size(message); size > options.max_message_size) {
        refuse_message(message, "body, properties and texts have " + std::to_string(size) + " bytes, at most " +
                                    std::to_string(options.max_message_size) + " (max_message_size)");
    }
}

ESCQRS_INLINE void check_properties(const Message& message, const MessageProperties& properties)
{
    std::vector<std::string_view> names;
    names.reserve(properties.size());
    for (const auto& [name, text] : properties) {
        if (name.empty()) refuse_message(message, "a property has no name");
        if (!archive::detail::is_utf8(name)) refuse_message(message, "the name of a property is not UTF-8");
        if (!archive::detail::is_utf8(text))
            refuse_message(message, "property '" + std::string{name} + "' is not UTF-8");
        names.push_back(name);
    }
    std::sort(names.begin(), names.end());
    if (const auto twice = std::adjacent_find(names.begin(), names.end()); twice != names.end()) {
        refuse_message(message, "properties name '" + std::string{*twice} + "' more than once, at most 1");
    }
}

ESCQRS_INLINE void check_message(const Message& message, const MessageQueueOptions& options)
{
    const auto refuse_length = [&](const char* field, const std::string& limit, std::size_t found) {
        refuse_message(message, std::string{field} + " has " + std::to_string(found) + " bytes, " + limit);
    };
    if (message.message_id.empty()) refuse_length("message_id", "at least 1", 0);
    if (message.message_id.size() > max_message_id_length) {
        refuse_length("message_id", "at most " + std::to_string(max_message_id_length), message.message_id.size());
    }
    if (message.session_id.size() > max_session_id_length) {
        refuse_length("session_id", "at most " + std::to_string(max_session_id_length), message.session_id.size());
    }
    const auto require_text = [&](const char* field, const std::string& text) {
        if (!archive::detail::is_utf8(text)) refuse_message(message, std::string{field} + " is not UTF-8");
        if (text.find('\0') != std::string::npos) refuse_message(message, std::string{field} + " holds a NUL");
    };
    require_text("message_id", message.message_id);
    require_text("session_id", message.session_id);
    require_text("subject", message.subject);
    require_text("correlation_id", message.correlation_id);
    require_text("content_type", message.content_type);
    check_properties(message, message.properties);
    check_size(message, options);
}

ESCQRS_INLINE void check_messages(std::span<const Message> messages, const MessageQueueOptions& options)
{
    for (const Message& message : messages) check_message(message, options);
}

ESCQRS_INLINE void merge_properties(MessageProperties& properties, const MessageProperties& added)
{
    for (const auto& [name, text] : added) properties.set(name, text);
}

ESCQRS_INLINE void check_disposition(const ReceivedMessage& received, const Disposition& disposition,
                                     const MessageQueueOptions& options)
{
    const auto* abandon = std::get_if<Abandon>(&disposition);
    if (abandon == nullptr || abandon->properties.empty()) return;
    check_properties(received.message, abandon->properties); // what it came with may break our rules
    Message changed = received.message;
    merge_properties(changed.properties, abandon->properties);
    check_size(changed, options);
}

ESCQRS_INLINE std::string_view dead_letter_text(std::string_view text) noexcept
{
    if (text.size() <= max_dead_letter_text_length) return text;
    std::size_t length = max_dead_letter_text_length;
    while (length > 0 && (static_cast<unsigned char>(text[length]) & 0xC0U) == 0x80U) --length;
    return text.substr(0, length);
}

ESCQRS_INLINE std::string max_delivery_count_description(std::uint32_t delivery_count)
{
    return "delivered " + std::to_string(delivery_count) + " times without being completed or dead-lettered";
}

#endif // ESCQRS_HAS_BODIES

/// @param lock_tokens  makes lock tokens
/// @throws InvalidOption if no queue can work with them
inline void check_options(const MessageQueueOptions& options, const IdGenerator& lock_tokens = random_uuid)
{
    detail::check_at_least(detail::not_zero, options.lock_duration, "lock_duration");
    detail::check_at_least(1U, options.max_delivery_count, "max_delivery_count");
    detail::check_at_least(detail::not_negative, options.duplicate_detection_window, "duplicate_detection_window");
    detail::check_given(options.clock, "clock");
    detail::check_given(lock_tokens, "lock_tokens");
}

/// Throws a `MessageLockLost` that names the message and its delivery.
[[noreturn]] inline void throw_lock_lost(const ReceivedMessage& received)
{
    throw MessageLockLost{"the lock of message '" + received.message.message_id + "' (sequence number " +
                          std::to_string(received.sequence_number) + ", delivery " +
                          std::to_string(received.delivery_count) + ") is no longer held"};
}

} // namespace escqrs::inline v0::message_queue_rules
