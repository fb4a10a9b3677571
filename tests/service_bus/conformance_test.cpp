// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "emulator_process.hpp"

#include <escqrs/testing/message_queue_conformance.hpp>

#include <service_bus/message_queue.hpp>

#include <boost/json/object.hpp>

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <utility>

namespace {

using namespace service_bus;
using service_bus_test::Emulator;

/// The adapter, and the broker's own word for what the queue holds.
class CountedQueue : public MessageQueue {
public:
    CountedQueue(QueueSettings settings, std::string name) : MessageQueue{std::move(settings)}, name_{std::move(name)}
    {
    }

    escqrs::MessageQueueCounts counts() const
    {
        const auto counts = Emulator::shared().counts(name_);
        return {.active = counts.active,
                .locked = counts.locked,
                .scheduled = counts.scheduled,
                .dead_lettered = counts.dead_lettered};
    }

private:
    std::string name_;
};

class Fixture {
public:
    explicit Fixture(const escqrs::MessageQueueOptions& wished, bool tls) : options_{wished}
    {
        auto& emulator = Emulator::shared();
        const auto milliseconds = [](escqrs::Duration duration) {
            return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
        };
        const std::string name = emulator.create_queue(
            {{"lockDurationMs", milliseconds(options_.lock_duration)},
             {"maxDeliveryCount", options_.max_delivery_count},
             {"requiresSession", true},
             {"duplicateDetectionWindowMs", milliseconds(options_.duplicate_detection_window)},
             {"maxMessageSize", options_.max_message_size + 10'000}}); // with room for what AMQP adds
        QueueSettings settings;
        settings.connection.broker = parse_broker(emulator.connection_string(name, tls));
        if (tls) settings.connection.certificate_authorities = emulator.certificate();
        settings.connection.clock = &emulator.clock();
        settings.receiver.linger = std::chrono::milliseconds{50};
        // The clock jumps by minutes: no call is late for that.
        settings.connection.operation_timeout = std::chrono::hours{24};
        settings.sender.timeout = std::chrono::hours{24};
        queue_ = std::make_unique<CountedQueue>(std::move(settings), name);
        // A wait that the clock jumps over must not end before there is a connection.
        while (!queue_->health().authorised) std::this_thread::sleep_for(std::chrono::milliseconds{1});
    }

    CountedQueue& queue() { return *queue_; }
    const escqrs::MessageQueueOptions& options() const { return options_; }
    escqrs::Timestamp now() const
    {
        return std::chrono::floor<std::chrono::milliseconds>(Emulator::shared().clock().now()); // as the broker has it
    }
    void advance(escqrs::Duration duration)
    {
        // Time that jumps all the time leaves no time to hand anything out.
        std::this_thread::sleep_until(next_advance_);
        Emulator::shared().advance(duration);
        next_advance_ = std::chrono::steady_clock::now() + std::chrono::milliseconds{300};
    }
    escqrs::Duration patience() const { return std::chrono::milliseconds{300}; }
    bool reopen() { return false; } // the locks of sessions do not outlive their connection

private:
    escqrs::MessageQueueOptions options_;
    std::unique_ptr<CountedQueue> queue_;
    std::chrono::steady_clock::time_point next_advance_{};
};

} // namespace

ESCQRS_MESSAGE_QUEUE_CONFORMANCE("service bus", [](const escqrs::MessageQueueOptions& options) {
    return Fixture{options, false};
})
ESCQRS_MESSAGE_QUEUE_CONFORMANCE("service bus over TLS", [](const escqrs::MessageQueueOptions& options) {
    return Fixture{options, true};
})
