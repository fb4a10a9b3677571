// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "drop_recovery.hpp"

#include <escqrs/core/error.hpp>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <span>
#include <stdexcept>
#include <stop_token>
#include <thread>
#include <utility>

namespace service_bus_benchmark {
namespace {

using service_bus::MessageQueue;
using Clock = std::chrono::steady_clock;

constexpr std::size_t batch_size = 100;
constexpr std::chrono::milliseconds between_drops{200};
constexpr std::chrono::seconds patience{30};

/// The first success over a connection that is newer than a given one.
class FirstSuccess {
public:
    void succeeded(std::uint64_t connection)
    {
        const std::scoped_lock lock{mutex_};
        if (moment_ || connection <= previous_) return;
        moment_ = Clock::now();
        changed_.notify_all();
    }

    void expect_after(std::uint64_t connection)
    {
        const std::scoped_lock lock{mutex_};
        previous_ = connection;
        moment_.reset();
    }

    Clock::time_point wait()
    {
        std::unique_lock lock{mutex_};
        if (!changed_.wait_for(lock, patience, [this] { return moment_.has_value(); }))
            throw std::runtime_error{"the adapter did not recover"};
        return *moment_;
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::uint64_t previous_ = 0;
    std::optional<Clock::time_point> moment_;
};

void send_until(std::stop_token stop, MessageQueue& queue, const std::string& body, FirstSuccess& sent)
{
    escqrs::Message message;
    message.content_type = "application/json";
    message.body = body;
    for (std::uint64_t number = 0; !stop.stop_requested(); ++number) {
        message.message_id = "message-" + std::to_string(number);
        try {
            queue.send(std::span{&message, 1});
            sent.succeeded(queue.health().connections);
        } catch (const escqrs::TransportError&) {
            continue; // the wait for the success has a deadline
        }
    }
}

void receive_until(std::stop_token stop, MessageQueue& queue, FirstSuccess& received)
{
    while (!stop.stop_requested()) {
        try {
            const auto batch = queue.receive(batch_size, std::chrono::seconds{1}, stop);
            if (batch.empty()) continue;
            received.succeeded(queue.health().connections);
            std::vector<escqrs::Settlement> settlements;
            settlements.reserve(batch.size());
            for (const auto& message : batch) settlements.push_back({message, escqrs::Complete{}});
            (void)queue.settle(settlements);
        } catch (const escqrs::TransportError&) {
            continue; // what was not settled when the connection was lost
        }
    }
}

} // namespace

RecoveryTimes measure_recovery(const service_bus::QueueSettings& settings, const std::string& body, std::size_t times,
                               const std::function<void()>& drop)
{
    MessageQueue queue{settings};
    FirstSuccess sent;
    FirstSuccess received;
    const std::jthread sending{[&](std::stop_token stop) { send_until(std::move(stop), queue, body, sent); }};
    const std::jthread receiving{[&](std::stop_token stop) { receive_until(std::move(stop), queue, received); }};
    sent.wait();
    received.wait();
    RecoveryTimes found;
    for (std::size_t time = 0; time < times; ++time) {
        std::this_thread::sleep_for(between_drops);
        const std::uint64_t connection = queue.health().connections;
        sent.expect_after(connection);
        received.expect_after(connection);
        const Clock::time_point dropped = Clock::now();
        drop();
        found.to_accepted_send.emplace_back(sent.wait() - dropped);
        found.to_received_message.emplace_back(received.wait() - dropped);
    }
    return found;
}

} // namespace service_bus_benchmark
