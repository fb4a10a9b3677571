// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "adapter_client.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

namespace service_bus_benchmark {
namespace {

using service_bus::MessageQueue;
using service_bus::QueueUse;

constexpr std::chrono::seconds patience{10};

template <class Condition>
void wait_until(Condition condition)
{
    const auto end = std::chrono::steady_clock::now() + patience;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > end) throw std::runtime_error{"adapter: no connection"};
        std::this_thread::sleep_for(std::chrono::milliseconds{1});
    }
}

/// Runs `work` on so many threads; the first exception comes out here.
Measurement measure(std::size_t messages, std::size_t callers, const std::function<void()>& work)
{
    const Stopwatch stopwatch;
    std::vector<std::future<void>> others;
    for (std::size_t caller = 1; caller < callers; ++caller) others.push_back(std::async(std::launch::async, work));
    work();
    for (auto& other : others) other.get();
    return stopwatch.measure(messages);
}

void receive_share(MessageQueue& queue, std::atomic<std::size_t>& left, std::size_t at_most)
{
    for (;;) {
        std::size_t seen = left;
        std::size_t mine = 0;
        do mine = std::min(seen, at_most);
        while (!left.compare_exchange_weak(seen, seen - mine));
        if (mine == 0) return;
        while (mine > 0) {
            const auto batch = queue.receive(mine, patience, {});
            if (batch.empty()) throw std::runtime_error{"adapter: the queue is empty too early"};
            std::vector<escqrs::Settlement> settlements;
            settlements.reserve(batch.size());
            for (const auto& message : batch) settlements.push_back({message, escqrs::Complete{}});
            for (const auto result : queue.settle(settlements)) {
                if (result != escqrs::SettlementResult::settled) throw std::runtime_error{"adapter: not completed"};
            }
            mine -= batch.size();
        }
    }
}

} // namespace

Measurement send_with_adapter(AdapterTask task, std::span<const escqrs::Message> messages, std::size_t per_call)
{
    task.queue.use = QueueUse::send;
    task.queue.sender.max_in_flight = task.in_flight;
    MessageQueue queue{task.queue};
    wait_until([&] { return !queue.health().problem(); });
    std::atomic<std::size_t> next{0};
    return measure(messages.size(), task.callers, [&] {
        for (;;) {
            const std::size_t first = next.fetch_add(per_call);
            if (first >= messages.size()) return;
            queue.send(messages.subspan(first, std::min(per_call, messages.size() - first)));
        }
    });
}

Measurement receive_with_adapter(AdapterTask task, std::size_t messages)
{
    task.queue.use = QueueUse::receive;
    task.queue.receiver.prefetch = task.prefetch;
    MessageQueue queue{task.queue};
    wait_until([&] { return queue.health().authorised; });
    std::atomic<std::size_t> left{messages};
    const std::size_t share = (task.in_flight - task.prefetch + task.callers - 1) / task.callers;
    return measure(messages, task.callers, [&] { receive_share(queue, left, share); });
}

} // namespace service_bus_benchmark
