// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

// What publishing an event costs with 1 and 10 subscribers: through the event bus, through a bare Boost signal, and by a
// loop over functions written by hand. Medians of interleaved runs.
#include "../tests/support/account.hpp"

#include <escqrs/event_bus.hpp>

#include <boost/signals2/signal.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <vector>

namespace {

using account::MoneyDeposited;

constexpr int publishes = 100'000;
constexpr int rounds = 21;

template <class Publish>
double nanoseconds_each(Publish publish)
{
    const auto start = std::chrono::steady_clock::now();
    for (int index = 0; index < publishes; ++index) publish();
    const std::chrono::duration<double, std::nano> elapsed = std::chrono::steady_clock::now() - start;
    return elapsed.count() / publishes;
}

double median(std::vector<double> values)
{
    std::ranges::sort(values);
    return values[values.size() / 2];
}

void measure(int subscribers)
{
    std::int64_t sum = 0;
    const auto add = [&](const MoneyDeposited& event) { sum += event.cents; };
    escqrs::EventBus bus;
    std::vector<escqrs::EventBus::Connection> connections;
    boost::signals2::signal<void(const MoneyDeposited&)> signal;
    std::vector<std::function<void(const MoneyDeposited&)>> functions;
    for (int subscriber = 0; subscriber < subscribers; ++subscriber) {
        connections.push_back(bus.subscribe<MoneyDeposited>(add));
        signal.connect(add);
        functions.emplace_back(add);
    }
    const MoneyDeposited event{1, ""};
    const escqrs::EventContext context{escqrs::StreamId{"account", "1"}, escqrs::StreamVersion{1},
                                       escqrs::GlobalPosition{1}, escqrs::EventId{}};
    std::vector<double> by_bus;
    std::vector<double> by_signal;
    std::vector<double> by_hand;
    for (int round = 0; round < rounds; ++round) {
        by_bus.push_back(nanoseconds_each([&] { bus.publish(event, context); }));
        by_signal.push_back(nanoseconds_each([&] { signal(event); }));
        by_hand.push_back(nanoseconds_each([&] {
            for (const auto& function : functions) function(event);
        }));
    }
    std::printf("%2d subscribers: bus %6.1f ns, signal %6.1f ns (ratio %.2f), loop by hand %6.1f ns\n", subscribers,
                median(by_bus), median(by_signal), median(by_bus) / median(by_signal), median(by_hand));
    if (sum != std::int64_t{3} * subscribers * rounds * publishes) std::printf("an event was not handed over\n");
}

} // namespace

int main()
{
    measure(1);
    measure(10);
}
