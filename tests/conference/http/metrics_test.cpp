// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "http/metrics.hpp"

#include <escqrs/testing/catch2.hpp>

#include <atomic>
#include <future>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using http::Gauges;
using http::Metrics;

namespace {

/// With all gauges that can tell their values.
std::string shown(const Metrics& metrics)
{
    std::map<std::string, double> values;
    for (const auto& name : metrics.gauge_names()) {
        if (const auto value = metrics.ask(name)) values[name] = *value;
    }
    return metrics.text(values);
}

} // namespace

TEST_CASE("counters are shown with their labels, escaped")
{
    Metrics metrics;
    metrics.counter("hits_total", "Hits.", {{"path", "a\"b\\c\nd"}}).add(3);
    metrics.counter("hits_total", "Hits.").add();
    CHECK(shown(metrics) == "# HELP hits_total Hits.\n# TYPE hits_total counter\nhits_total 1\n"
                            "hits_total{path=\"a\\\"b\\\\c\\nd\"} 3\n");
}

TEST_CASE("a histogram counts into every bucket that is large enough")
{
    Metrics metrics;
    auto& latency = metrics.histogram("t_seconds", "Time.", {{"x", "y"}});
    latency.observe(std::chrono::microseconds{300});
    latency.observe(std::chrono::seconds{60});
    const auto text = shown(metrics);
    CHECK_THAT(text, Catch::Contains("t_seconds_bucket{x=\"y\",le=\"0.00025\"} 0\n"));
    CHECK_THAT(text, Catch::Contains("t_seconds_bucket{x=\"y\",le=\"0.0005\"} 1\n"));
    CHECK_THAT(text, Catch::Contains("t_seconds_bucket{x=\"y\",le=\"10\"} 1\n"));
    CHECK_THAT(text, Catch::Contains("t_seconds_bucket{x=\"y\",le=\"+Inf\"} 2\n"));
    CHECK_THAT(text, Catch::Contains("t_seconds_count{x=\"y\"} 2\n"));
}

TEST_CASE("a gauge is asked when the metrics are shown, and left out when it cannot tell")
{
    Metrics metrics;
    double value = 1;
    Gauges gauges{metrics};
    gauges.add("lag", "Lag.", [&] { return value; });
    gauges.add("broken", "Broken.", []() -> double { throw std::runtime_error{"gone"}; });
    value = 2.5;
    CHECK_THAT(shown(metrics), Catch::Contains("\nlag 2.5\n") && !Catch::Contains("\nbroken "));
}

TEST_CASE("a gauge ends with the object that it tells of, and not while it is asked")
{
    Metrics metrics;
    std::promise<void> asked;
    std::promise<void> release;
    std::atomic<bool> is_there{true};
    bool was_there = false;
    std::optional<Gauges> gauges{metrics};
    gauges->add("lag", "Lag.", [&] {
        asked.set_value();
        release.get_future().wait();
        was_there = is_there;
        return 1.0;
    });
    std::thread scrape{[&] { CHECK(metrics.ask("lag") == 1); }};
    asked.get_future().wait();
    std::promise<void> ending;
    std::thread end{[&] {
        ending.set_value();
        gauges.reset();
        is_there = false;
    }};
    ending.get_future().wait();
    for (int turn = 0; turn < 1000; ++turn) std::this_thread::yield(); // room for an end that does not wait
    release.set_value();
    scrape.join();
    end.join();
    CHECK(was_there);
    CHECK(shown(metrics).find("lag") == std::string::npos);
}

TEST_CASE("many threads count without losing one")
{
    Metrics metrics;
    {
        std::vector<std::jthread> threads;
        for (int thread = 0; thread < 4; ++thread) {
            threads.emplace_back([&] {
                for (int round = 0; round < 1000; ++round)
                    metrics.counter("n", "N.", {{"k", std::to_string(round % 7)}}).add();
            });
        }
    }
    std::uint64_t total = 0;
    for (int label = 0; label < 7; ++label) total += metrics.counter("n", "N.", {{"k", std::to_string(label)}}).value();
    CHECK(total == 4000);
}
