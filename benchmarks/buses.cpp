// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// send/      a command to a handler that does next to nothing
// publish/   an event to 1 and 4 subscribers that do next to nothing
#include "support/attendee.hpp"
#include "support/repeat.hpp"

#include <escqrs/commands/command_bus.hpp>
#include <escqrs/events/event_bus.hpp>
#include <escqrs/events/snapshot_event_bus.hpp>

#include <boost/signals2/signal.hpp>

#if __has_include(<eventpp/callbacklist.h>)
#include <eventpp/callbacklist.h>
#include <eventpp/eventdispatcher.h>
#endif
#if __has_include(<entt/signal/dispatcher.hpp>)
#include <entt/signal/dispatcher.hpp>
#endif

#include <any>
#include <functional>
#include <string>
#include <typeindex>
#include <unordered_map>
#include <vector>

namespace {

using namespace benchmarks;

struct Trivial {
    using Result = int;
    int value;
};

[[gnu::noinline]] int handle(const Trivial& command) { return command.value + 1; }

void send_directly(benchmark::State& state)
{
    int value = 0;
    repeat(state, [&] { benchmark::DoNotOptimize(value = handle(Trivial{value})); });
}
BENCHMARK(send_directly)->Name("send/direct_call");

void send_by_bus(benchmark::State& state)
{
    escqrs::CommandBus bus;
    bus.handle<Trivial>(handle);
    int value = 0;
    repeat(state, [&] { benchmark::DoNotOptimize(value = bus.send(Trivial{value})); });
}
BENCHMARK(send_by_bus)->Name("send/escqrs");

void send_by_map(benchmark::State& state)
{
    std::unordered_map<std::type_index, std::function<void(const void*, void*)>> handlers;
    handlers[typeid(Trivial)] = [](const void* command, void* result) {
        *static_cast<int*>(result) = handle(*static_cast<const Trivial*>(command));
    };
    int value = 0;
    repeat(state, [&] {
        const Trivial command{value};
        handlers.find(typeid(Trivial))->second(&command, &value);
        benchmark::DoNotOptimize(value);
    });
}
BENCHMARK(send_by_map)->Name("send/map_of_functions");

const EmailConfirmed event{1};

/// Adds up what the subscribers are given.
struct Sum {
    std::uint64_t value = 0;
    void add(const EmailConfirmed& confirmed) { value += confirmed.code; }
};

void check(benchmark::State& state, const Sum& sum)
{
    const auto calls = static_cast<std::uint64_t>(state.range(0) * (state.iterations() + 1)); // one before the loop
    if (sum.value != calls) state.SkipWithError("an event was not handed over");
}

template <class Bus>
void publish_by_bus(benchmark::State& state)
{
    Sum sum;
    Bus bus;
    std::vector<typename Bus::Connection> connections;
    for (std::int64_t index = 0; index < state.range(0); ++index) {
        connections.push_back(
            bus.template subscribe<EmailConfirmed>([&](const EmailConfirmed& confirmed) { sum.add(confirmed); }));
    }
    const escqrs::EventContext context{escqrs::StreamId{"attendee", "1"}, escqrs::StreamVersion{1},
                                       escqrs::GlobalPosition{1}, escqrs::EventId{}};
    repeat(state, [&] { bus.publish(event, context); });
    check(state, sum);
}
BENCHMARK(publish_by_bus<escqrs::EventBus>)->Name("publish/escqrs")->Arg(1)->Arg(4);
BENCHMARK(publish_by_bus<escqrs::SnapshotEventBus>)->Name("publish/escqrs_snapshot")->Arg(1)->Arg(4);

void publish_by_signal(benchmark::State& state)
{
    Sum sum;
    boost::signals2::signal<void(const EmailConfirmed&)> signal;
    for (std::int64_t index = 0; index < state.range(0); ++index) {
        signal.connect([&](const EmailConfirmed& confirmed) { sum.add(confirmed); });
    }
    repeat(state, [&] { signal(event); });
    check(state, sum);
}
BENCHMARK(publish_by_signal)->Name("publish/signals2")->Arg(1)->Arg(4);

void publish_by_loop(benchmark::State& state)
{
    Sum sum;
    std::vector<std::function<void(const EmailConfirmed&)>> functions;
    for (std::int64_t index = 0; index < state.range(0); ++index) {
        functions.emplace_back([&](const EmailConfirmed& confirmed) { sum.add(confirmed); });
    }
    repeat(state, [&] {
        for (const auto& function : functions) function(event);
    });
    check(state, sum);
}
BENCHMARK(publish_by_loop)->Name("publish/loop_by_hand")->Arg(1)->Arg(4);

#if __has_include(<eventpp/callbacklist.h>)
void publish_by_eventpp(benchmark::State& state)
{
    Sum sum;
    eventpp::EventDispatcher<int, void(const EmailConfirmed&)> dispatcher;
    for (std::int64_t index = 0; index < state.range(0); ++index) {
        dispatcher.appendListener(1, [&](const EmailConfirmed& confirmed) { sum.add(confirmed); });
    }
    repeat(state, [&] { dispatcher.dispatch(1, event); });
    check(state, sum);
}
BENCHMARK(publish_by_eventpp)->Name("publish/eventpp")->Arg(1)->Arg(4);
#endif

#if __has_include(<entt/signal/dispatcher.hpp>)
void publish_by_entt(benchmark::State& state)
{
    std::vector<Sum> sums(static_cast<std::size_t>(state.range(0))); // it calls no subscriber twice
    entt::dispatcher dispatcher;
    for (Sum& sum : sums) dispatcher.sink<EmailConfirmed>().connect<&Sum::add>(sum);
    repeat(state, [&] { dispatcher.trigger(EmailConfirmed{event}); });
    Sum sum;
    for (const Sum& one : sums) sum.value += one.value;
    check(state, sum);
}
BENCHMARK(publish_by_entt)->Name("publish/entt")->Arg(1)->Arg(4);
#endif

} // namespace

BENCHMARK_MAIN();
