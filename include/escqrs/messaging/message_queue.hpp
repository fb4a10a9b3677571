// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/clock.hpp>
#include <escqrs/core/error.hpp>
#include <escqrs/core/stop_token.hpp>
#include <escqrs/messaging/message_properties.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace escqrs::inline v0 {

/// A message for a queue. Terms and meanings are those of an Azure Service Bus message.
struct Message {
    /// 1 to 128 bytes; a repeat within the queue's window is accepted and dropped.
    std::string message_id;
    /// At most 128 bytes; messages of one session are handled in order; empty: no session.
    std::string session_id;
    std::string subject;                             ///< free text; the library's relay puts the event name here
    std::string correlation_id;                      ///< free text; the relay puts that of the metadata here
    std::string content_type;                        ///< of the body: its format
    std::string body;                                ///< the content
    MessageProperties properties;                    ///< name and text, each name once
    std::optional<Timestamp> scheduled_enqueue_time; ///< not handed out before

    friend bool operator==(const Message&, const Message&) = default;
};

/// A message handed out under a lock. The receiver settles it before the lock runs out, or renews the lock.
struct ReceivedMessage {
    Message message;                   ///< as it was sent, with properties that abandoning has added
    std::uint64_t sequence_number = 0; ///< drawn by the queue, in the order of arrival
    /// Deliveries up to and including this one: 1 at first.
    std::uint32_t delivery_count = 0;
    Timestamp enqueued_at{};  ///< when the queue took it
    Timestamp locked_until{}; ///< end of the lock, by the queue's clock
    std::string lock_token;   ///< names this delivery to the queue
    /// A stop is requested when the queue notices that the lock is lost; not every queue watches.
    stop_token lock_lost{};
};

/// A dead-lettered message, with the reason.
struct DeadLetteredMessage {
    Message message;                   ///< as it was sent, with properties that abandoning has added
    std::uint64_t sequence_number = 0; ///< by which `dead_letters` lists
    std::uint32_t delivery_count = 0;  ///< deliveries before it was dead-lettered
    Timestamp enqueued_at{};           ///< when the queue took it
    Timestamp dead_lettered_at{};      ///< by the queue's clock
    std::string reason;                ///< short, for programs
    std::string description;           ///< longer, for people
};

/// Handled: the queue forgets it.
struct Complete {};
/// Not now: it goes back to the queue and is delivered again. `properties` are added to the message.
struct Abandon {
    MessageProperties properties; ///< replace those of the same name
};
/// Never: it goes to the dead-letter queue, for people to look at.
struct DeadLetter {
    /// This and the description are cut after 4096 bytes.
    std::string reason;
    std::string description; ///< for people
};

/// What a receiver decides about a message.
using Disposition = std::variant<Complete, Abandon, DeadLetter>;

/// One decision of several that are settled together. The message must live until `settle` returns.
struct Settlement {
    std::reference_wrapper<const ReceivedMessage> message; ///< as it was received
    Disposition disposition;                               ///< what becomes of it
};

/// What became of one settlement.
enum class SettlementResult : std::uint8_t {
    settled,
    /// The lock was no longer held; nothing has changed for this message.
    lock_lost,
};

/// Puts messages on a queue.
///
/// `send(messages)` returns once the queue has taken every message durably; order within a session is the order given.
/// Throws `MessageRefused`, which names the message: before anything is sent, if an id is missing or too long, a text
/// is not UTF-8 or has a NUL (properties may), a property is repeated or has no name, or there are too many bytes;
/// later, if the broker rejects the message itself. After that, or any other `TransportError`, any part may have been
/// taken: send the same messages again, except the one that was refused. Duplicates within the queue's window are
/// dropped by message id.
template <class Sender>
concept MessageSender = requires(Sender& sender, std::span<const Message> messages) {
    { sender.send(messages) } -> std::same_as<void>;
};

/// Takes messages off a queue under a lock (peek-lock).
///
/// - `receive(at_most, wait, stop)` hands out up to `at_most` messages; waits up to `wait` for the first one, or until
///   `stop` is requested. Messages of one session come in order, and while any of them is unsettled no other receive
///   gets messages of that session; other sessions continue in parallel, and a busy one starves none. Messages of one
///   session in one batch must be settled in order.
/// - `settle(message, disposition)` decides about a message; once it has returned the decision is durable. Abandoning a
///   message of a session gives the later ones of the same batch and session back as well, uncounted. Throws
///   `MessageLockLost` if the lock is no longer held; then nothing has changed.
/// - `settle(settlements)` decides about several messages in the order given, for about the price of one: each fails
///   alone, as its result says. Throws `TransportError` if an abandoned message would become too large, and then
///   nothing has changed, or if the queue cannot tell what became of them.
/// - `renew_lock(message)` extends the lock to its full duration and puts its end into `message.locked_until`. With a
///   session, the lock is the session's. Throws `MessageLockLost`.
///
/// The caller renews the locks of what it has received, for as long as it works on it; `MessageProcessor` does. A
/// receiver that can renew them by itself leaves that to its options, for callers that do not.
///
/// A message whose lock runs out is delivered again. One delivered `max_delivery_count` times without being completed
/// or dead-lettered is dead-lettered with reason "MaxDeliveryCountExceeded".
template <class Receiver>
concept MessageReceiver =
    requires(Receiver& receiver, std::size_t at_most, Duration wait, stop_token stop, ReceivedMessage& message,
             const Disposition& disposition, std::span<const Settlement> settlements) {
        { receiver.receive(at_most, wait, stop) } -> std::same_as<std::vector<ReceivedMessage>>;
        { receiver.settle(std::as_const(message), disposition) } -> std::same_as<void>;
        { receiver.settle(settlements) } -> std::same_as<std::vector<SettlementResult>>;
        { receiver.renew_lock(message) } -> std::same_as<void>;
    };

/// A receiver that can take back what it handed out as if it had never been delivered: `release` gives back messages
/// that it still holds, and with them the later ones of their sessions. Their delivery does not count.
template <class Receiver>
concept ReleasingReceiver =
    MessageReceiver<Receiver> && requires(Receiver& receiver, std::span<const ReceivedMessage> messages) {
        { receiver.release(messages) } -> std::same_as<void>;
    };

/// Looks at dead-lettered messages, and gives them back to the queue.
///
/// - `dead_letters(after, at_most)` lists them by sequence number, those after `after`.
/// - `resubmit(message_id)` moves one back to its queue as a message never delivered before; false if there is none.
template <class Queue>
concept DeadLetterQueue = requires(Queue& queue, std::uint64_t after, std::size_t at_most, const std::string& id) {
    { queue.dead_letters(after, at_most) } -> std::same_as<std::vector<DeadLetteredMessage>>;
    { queue.resubmit(id) } -> std::same_as<bool>;
};

/// How many messages a queue holds, by state: what `counts()` of the queues in memory and in SQLite returns. No concept
/// has it.
struct MessageQueueCounts {
    std::uint64_t active = 0;        ///< waiting to be received
    std::uint64_t locked = 0;        ///< received and not yet settled
    std::uint64_t scheduled = 0;     ///< not to be handed out yet
    std::uint64_t dead_lettered = 0; ///< listed by `dead_letters`

    friend bool operator==(const MessageQueueCounts&, const MessageQueueCounts&) = default;
};

/// How a queue behaves; the defaults are those of a Service Bus queue with duplicate detection.
struct MessageQueueOptions {
    Duration lock_duration = std::chrono::minutes{1}; ///< from receipt, or from the last renewal
    std::uint32_t max_delivery_count = 10;            ///< after so many without success it is dead-lettered
    Duration duplicate_detection_window = std::chrono::minutes{10}; ///< 0: none
    /// Bytes of body, properties, subject, correlation id and content type; `send` refuses a larger message.
    std::size_t max_message_size = 256 * 1024;
    Clock* clock = &system_clock(); ///< must outlive the queue
};

} // namespace escqrs::inline v0
