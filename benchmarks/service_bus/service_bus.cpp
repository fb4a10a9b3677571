// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// Messages per second through the Service Bus adapter, against a bare client written with Proton's C interface, both
// against the emulator of the tests (which needs node and the packages of tests/service_bus). Messages have 1 KiB; a sent
// one counts when the broker has accepted it, a received one when the broker has confirmed that it is completed.
//
//   adapter      two threads use the queue and keep so many messages in flight
//   one caller   the adapter, too: one thread that sends, or receives and completes, so many messages at a time and waits
//   prefetching  as one caller, but half of the messages in flight are prefetched
//   bare         one connection, one link, one thread, so many in flight, no recovery
//   sessions     as adapter, on a queue that requires sessions
//
// Then the same without sessions over a broker that answers a drain only after 0.1 s and after 1 s, with fewer messages; and
// the time that the adapter takes from a dropped connection to the next message.
//
// Usage: service_bus [--rounds 5] [--messages 20000] [--drops 20] [--part all|throughput|sessions|drains|recovery]
// `messages` are sent and received in one run, a third of it for each in flight at most. Runs are interleaved; the figures
// are medians over the rounds, as are the ratios, each of which compares two runs of one round. The emulator is busy on one
// core, so that the processor time of this process (seconds for 100,000 messages) says more about the clients than the
// messages per second do.
#include "adapter_client.hpp"
#include "bare_client.hpp"
#include "drop_recovery.hpp"

#include "emulator_process.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using namespace service_bus_benchmark;
using service_bus::QueueSettings;
using service_bus_test::Emulator;

constexpr std::size_t body_size = 1024;
constexpr std::size_t sessions = 1000;
constexpr std::size_t least_per_call = 100;

struct Options {
    std::size_t rounds = 5;
    std::size_t messages = 20000;
    std::size_t drops = 20;
    std::string_view part = "all";

    bool has_part(std::string_view name) const { return part == "all" || part == name; }
};

/// What is common to the runs with so many in flight.
struct Load {
    std::size_t in_flight;
    const std::vector<escqrs::Message>& messages;
};

struct Figures {
    Measurement sent;
    Measurement received;
};

struct Contestant {
    const char* name;
    bool has_sessions;
    std::function<Figures(const QueueSettings&, const Load&)> run;
};

std::string make_body()
{
    const std::string_view begin = R"({"data":")";
    const std::string_view end = R"("})";
    return std::string{begin} + std::string(body_size - begin.size() - end.size(), 'x') + std::string{end};
}

std::vector<escqrs::Message> make_messages(std::size_t count, bool has_sessions)
{
    std::vector<escqrs::Message> messages(count);
    for (std::size_t index = 0; index < count; ++index) {
        messages[index].message_id = "message-" + std::to_string(index);
        messages[index].content_type = "application/json";
        messages[index].body = make_body();
        if (has_sessions) messages[index].session_id = "session-" + std::to_string(index % sessions);
    }
    return messages;
}

Figures run_adapter(const QueueSettings& settings, const Load& load)
{
    const std::size_t receivers = std::min<std::size_t>(load.in_flight, 2);
    return {send_with_adapter({settings, load.in_flight, 2}, load.messages, std::max(load.in_flight, least_per_call)),
            receive_with_adapter({settings, load.in_flight, receivers}, load.messages.size())};
}

Figures run_one_caller(const QueueSettings& settings, const Load& load)
{
    return {send_with_adapter({settings, load.in_flight, 1}, load.messages, load.in_flight),
            receive_with_adapter({settings, load.in_flight, 1}, load.messages.size())};
}

Figures run_prefetching(const QueueSettings& settings, const Load& load)
{
    return {send_with_adapter({settings, load.in_flight, 1}, load.messages, load.in_flight),
            receive_with_adapter({settings, load.in_flight, 1, load.in_flight / 2}, load.messages.size())};
}

Figures run_bare_client(const QueueSettings& settings, const Load& load)
{
    const std::string body = make_body();
    const auto& broker = settings.connection.broker;
    return {run_bare(broker, {BareTask::Kind::send, load.messages.size(), load.in_flight, body}),
            run_bare(broker, {BareTask::Kind::receive, load.messages.size(), load.in_flight, body})};
}

QueueSettings settings_for(const Emulator& emulator, const std::string& queue, bool has_sessions)
{
    QueueSettings settings;
    settings.connection.broker = service_bus::parse_broker(emulator.connection_string(queue));
    settings.receiver.sessions = has_sessions;
    return settings;
}

/// One run on its own queue.
Figures run(Emulator& emulator, const Contestant& contestant, const Load& load)
{
    const std::string queue = emulator.create_queue({{"requiresSession", contestant.has_sessions}});
    const Figures figures = contestant.run(settings_for(emulator, queue, contestant.has_sessions), load);
    const auto left = emulator.counts(queue);
    if (left.active + left.locked + left.dead_lettered > 0)
        throw std::runtime_error{std::string{contestant.name} + " left messages on the queue"};
    emulator.control("DELETE", "/queues/" + queue);
    return figures;
}

double median(std::vector<double> values)
{
    std::ranges::sort(values);
    return values[values.size() / 2];
}

template <class Value>
double median_of(const std::vector<Figures>& rounds, Value value)
{
    std::vector<double> values;
    values.reserve(rounds.size());
    for (const Figures& round : rounds) values.push_back(value(round));
    return median(std::move(values));
}

/// The median of what `value` says of a round, divided by what it says of the same round of `other`.
template <class Value>
double ratio_of(const std::vector<Figures>& rounds, const std::vector<Figures>& other, Value value)
{
    std::vector<double> values;
    for (std::size_t round = 0; round < rounds.size(); ++round)
        values.push_back(value(rounds[round]) / value(other[round]));
    return median(std::move(values));
}

void measure_throughput(Emulator& emulator, const std::vector<Contestant>& contestants, const Options& options)
{
    std::printf("%9s  %-11s | %8s %6s %7s %6s | %10s %6s %7s %6s\n", "in flight", "", "sent/s", "ratio", "CPU", "ratio",
                "received/s", "ratio", "CPU", "ratio");
    for (const std::size_t in_flight : {1U, 10U, 100U, 1000U}) {
        const auto messages = make_messages(std::min(options.messages, in_flight * options.messages / 3),
                                            contestants.front().has_sessions);
        std::vector<std::vector<Figures>> figures(contestants.size());
        for (std::size_t round = 0; round < options.rounds; ++round) {
            for (std::size_t index = 0; index < contestants.size(); ++index)
                figures[index].push_back(run(emulator, contestants[index], {in_flight, messages}));
        }
        for (std::size_t index = 0; index < contestants.size(); ++index) {
            const auto show = [&](int width, auto part) {
                const auto rate = [&](const Figures& each) { return part(each).per_second; };
                const auto cpu = [&](const Figures& each) { return part(each).cpu_per_100_000; };
                std::printf(" | %*.0f %6.2f %7.2f %6.2f", width, median_of(figures[index], rate),
                            ratio_of(figures[index], figures.back(), rate), median_of(figures[index], cpu),
                            ratio_of(figures[index], figures.back(), cpu));
            };
            std::printf("%9zu  %-11s", in_flight, contestants[index].name);
            show(8, [](const Figures& each) { return each.sent; });
            show(10, [](const Figures& each) { return each.received; });
            std::printf("\n");
        }
        std::fflush(stdout);
    }
}

void show_recovery(Emulator& emulator, const Options& options)
{
    const QueueSettings settings = settings_for(emulator, emulator.create_queue({{"requiresSession", false}}), false);
    const auto times = measure_recovery(settings, make_body(), options.drops, [&] { emulator.fault("drop"); });
    const auto show = [](const char* what, const auto& durations) {
        std::vector<double> milliseconds;
        milliseconds.reserve(durations.size());
        for (const auto& duration : durations) milliseconds.push_back(duration.count());
        std::printf("  next %s after %.1f ms (at most %.1f)", what, median(milliseconds),
                    std::ranges::max(milliseconds));
    };
    std::printf("%zu dropped connections:", options.drops);
    show("accepted send", times.to_accepted_send);
    show("received message", times.to_received_message);
    std::printf("\n");
}

Options parse(int argc, char** argv)
{
    Options options;
    for (int index = 1; index + 1 < argc; index += 2) {
        const std::string_view name = argv[index];
        const auto number = [&] { return static_cast<std::size_t>(std::max(std::atol(argv[index + 1]), 1L)); };
        if (name == "--rounds") options.rounds = number();
        if (name == "--messages") options.messages = number();
        if (name == "--drops") options.drops = number();
        if (name == "--part") options.part = argv[index + 1];
    }
    return options;
}

} // namespace

int main(int argc, char** argv)
{
    const Options options = parse(argc, argv);
    const std::vector<Contestant> base{{"adapter", false, run_adapter},
                                       {"one caller", false, run_one_caller},
                                       {"prefetching", false, run_prefetching},
                                       {"bare", false, run_bare_client}};
    const std::vector<Contestant> with_sessions{{"sessions", true, run_adapter}};
    Options with_late_drains = options;
    with_late_drains.messages = std::max<std::size_t>(options.messages / 10, 3);
    try {
        Emulator emulator;
        // Node compiles what it has run often; no contestant should be the first.
        (void)run(emulator, base.back(), {100, make_messages(10'000, false)});
        if (options.has_part("throughput")) measure_throughput(emulator, base, options);
        if (options.has_part("sessions")) measure_throughput(emulator, with_sessions, options);
        if (options.has_part("drains")) {
            for (const int milliseconds : {100, 1000}) {
                std::printf("drains answered after %d ms:\n", milliseconds);
                emulator.fault("drain", {{"ms", milliseconds}});
                measure_throughput(emulator, base, with_late_drains);
            }
            emulator.fault("drain", {{"ms", 0}});
        }
        if (options.has_part("recovery")) show_recovery(emulator, options);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
    return 0;
}
