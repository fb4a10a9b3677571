// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "amqp_connection.hpp"
#include "amqp_link.hpp"
#include "flight_limit.hpp"
#include "message.hpp"
#include "send_window.hpp"

#include <escqrs/messaging/message_queue.hpp>

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

namespace service_bus {

struct SenderOptions {
    std::size_t max_in_flight = 1000; ///< sent and not yet accepted
    /// The same in bytes, which Proton keeps until then; the message that goes over it still goes.
    std::size_t max_bytes_in_flight = 16 * 1024 * 1024;
    escqrs::Duration timeout = std::chrono::seconds{30}; ///< of one `send`, with all its attempts
    /// Session of messages that have none; empty: they go without.
    std::string default_session;
    /// As `MessageQueueOptions` counts it; the link's own limit holds as well.
    std::size_t max_message_size = 256 * 1024;
};

/// Sends messages to a queue or topic: `escqrs::MessageSender`.
///
/// A message is sent when the broker has accepted it. Whatever becomes of connection and link, messages without an
/// answer are sent again under the same message id, until the timeout; a queue with duplicate detection drops those
/// that it has. A message goes out only when the earlier ones of its session have been accepted, so nothing that is
/// sent again comes out of order.
/// @par Thread safety  any thread
class MessageSender final : ConnectionUser, LinkEvents {
public:
    /// @param connection  must outlive the sender
    MessageSender(AmqpConnection& connection, std::string address, SenderOptions options = {});

    /// No call may be under way.
    ~MessageSender() override;

    /// @throws escqrs::TransportError  as `escqrs::MessageSender` says; the text ends with what was wrong last
    /// @throws escqrs::MessageRefused  if the broker refuses a message for what it is (see `concerns_the_message`)
    void send(std::span<const escqrs::Message> messages);

    /// Sends messages with what Service Bus has beyond `escqrs::Message`; the rest is as above.
    void send_detailed(std::span<const Message> messages);

    /// Sends one message that is encoded already.
    /// @param message  the same, for its session and for texts of errors
    void send_encoded(const escqrs::Message& message, std::vector<char> bytes);

    /// True while the broker has the link attached, and links are of use (see `LinkKeeper`).
    bool is_attached() const noexcept { return attached_.load(std::memory_order_relaxed); }

private:
    struct Batch {
        std::span<const escqrs::Message> messages;
        std::vector<std::vector<char>> encoded;
        SendWindow window;
        escqrs::SteadyTime not_before{}; ///< after the broker asked for patience
        std::string last_error{};
        /// A message that the broker will never take.
        std::optional<std::size_t> refused{};
        bool is_done = false;
        bool has_failed = false;
    };
    struct InFlight {
        Batch* batch; ///< null: no caller waits for it any more
        std::size_t index;
        std::size_t bytes;
        escqrs::SteadyTime since;
    };

    void on_ready() override;
    void on_lost(const Condition& why) override;
    void on_tick(escqrs::SteadyTime now) override;
    void on_attached() override;
    void on_detached(const Condition& why) override;
    void on_flow() override { pump(); }
    void on_delivery(pn_delivery_t* delivery) override;

    void send(std::span<const escqrs::Message> messages, std::vector<std::vector<char>> encoded);
    void attach();
    void give_up_link(const Condition& why);
    void note_health();
    std::string why_not_sent() const;
    void pump();
    bool put(Batch& batch, std::size_t index);
    void given_back(const InFlight& sent, const Condition& why, bool is_rejected);
    void finish(Batch& batch, bool has_failed);
    void fail_all(const std::string& why);

    AmqpConnection* connection_;
    std::string address_;
    SenderOptions options_;
    std::atomic<bool> attached_{false};

    // of the connection's thread
    std::unique_ptr<AmqpLink> link_;
    std::list<Batch*> batches_;
    std::unordered_map<pn_delivery_t*, InFlight> in_flight_;
    FlightLimit flight_;
    LinkKeeper keeper_;

    std::mutex mutex_; ///< of `is_done` of every batch
    std::condition_variable_any done_;
};

static_assert(escqrs::MessageSender<MessageSender>);

} // namespace service_bus
