// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "emulator_process.hpp"

#include <service_bus/message_queue.hpp>

#include <boost/json/object.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <iterator>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace service_bus_test {

using service_bus::MessageQueue;
using service_bus::QueueSettings;

/// Waits until `condition` holds. @return false if it never did within ten seconds
template <class Condition>
bool eventually(Condition condition)
{
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{10};
    while (!condition()) {
        if (std::chrono::steady_clock::now() > end) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds{2});
    }
    return true;
}

inline escqrs::Message make_message(const std::string& id, const std::string& session = {})
{
    escqrs::Message message;
    message.message_id = id;
    message.session_id = session;
    message.content_type = "application/json";
    message.body = R"({"id":")" + id + R"("})";
    return message;
}

/// `count` messages, dealt out to `sessions` sessions in turn; 0: without sessions.
inline std::vector<escqrs::Message> make_messages(std::size_t count, std::size_t sessions)
{
    std::vector<escqrs::Message> messages;
    for (std::size_t at = 0; at < count; ++at) {
        messages.push_back(make_message("message-" + std::to_string(at),
                                        sessions == 0 ? "" : "session-" + std::to_string(at % sessions)));
    }
    return messages;
}

inline std::vector<std::string> ids_of(const std::vector<escqrs::ReceivedMessage>& messages)
{
    std::vector<std::string> ids;
    for (const auto& message : messages) ids.push_back(message.message.message_id);
    return ids;
}

/// A queue of the emulator's, and clients of it.
class EmulatorQueue {
public:
    /// @param description  as the control port takes it
    explicit EmulatorQueue(const boost::json::object& description = {{"requiresSession", false}},
                           Emulator& emulator = Emulator::shared())
        : EmulatorQueue{emulator.create_queue(description), description, emulator}
    {
    }

    /// For a queue, topic or subscription that may or may not exist.
    EmulatorQueue(std::string name, const boost::json::object& description, Emulator& emulator = Emulator::shared())
        : emulator_{&emulator}, name_{std::move(name)}
    {
        const auto* const sessions = description.if_contains("requiresSession");
        has_sessions_ = sessions != nullptr && sessions->as_bool();
    }

    /// Impatient settings: what is lost is noticed within a second or two. Over TLS if ESCQRS_SERVICE_BUS_TRANSPORT is "tls".
    QueueSettings settings() const
    {
        const char* const transport = std::getenv("ESCQRS_SERVICE_BUS_TRANSPORT"); // NOLINT(concurrency-mt-unsafe)
        const bool tls = transport != nullptr && std::string_view{transport} == "tls";
        QueueSettings settings;
        settings.connection.broker = service_bus::parse_broker(emulator_->connection_string(name_, tls));
        if (tls) settings.connection.certificate_authorities = emulator_->certificate();
        settings.connection.clock = &emulator_->clock();
        settings.connection.reconnect_delay = std::chrono::milliseconds{20};
        settings.connection.longest_reconnect_delay = std::chrono::milliseconds{200};
        settings.connection.operation_timeout = std::chrono::seconds{2};
        settings.receiver.sessions = has_sessions_;
        settings.sender.timeout = std::chrono::seconds{30};
        return settings;
    }

    const std::string& name() const noexcept { return name_; }
    EmulatorCounts counts() const { return emulator_->counts(name_); }
    Emulator& emulator() const noexcept { return *emulator_; }

private:
    Emulator* emulator_;
    std::string name_;
    bool has_sessions_ = false;
};

inline void send(MessageQueue& queue, const escqrs::Message& message) { queue.send(std::span{&message, 1}); }

/// Receives `count` messages in as many calls as it takes; fewer if nothing comes for ten seconds.
inline std::vector<escqrs::ReceivedMessage> receive_all(MessageQueue& queue, std::size_t count)
{
    std::vector<escqrs::ReceivedMessage> all;
    while (all.size() < count) {
        auto batch = queue.receive(count - all.size(), std::chrono::seconds{10}, {});
        if (batch.empty()) break;
        std::ranges::move(batch, std::back_inserter(all));
    }
    return all;
}

/// Receives and completes until `count` messages were completed, through whatever goes wrong meanwhile.
inline std::vector<std::string> work_off(MessageQueue& queue, std::size_t count)
{
    std::vector<std::string> completed;
    for (int failures = 0; completed.size() < count && failures < 1000;) {
        try {
            const auto batch = queue.receive(count - completed.size(), std::chrono::seconds{10}, {});
            std::vector<escqrs::Settlement> settlements;
            for (const auto& message : batch) settlements.push_back({message, escqrs::Complete{}});
            const auto results = queue.settle(settlements);
            for (std::size_t at = 0; at < batch.size(); ++at) {
                if (results[at] == escqrs::SettlementResult::settled) completed.push_back(batch[at].message.message_id);
            }
        } catch (const escqrs::TransportError&) {
            ++failures;
        }
    }
    return completed;
}

} // namespace service_bus_test
