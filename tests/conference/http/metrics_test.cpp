// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "http/metrics.hpp"

#include <escqrs/testing/catch2.hpp>

#include <stdexcept>
#include <thread>
#include <vector>

using conference::http::Metrics;

TEST_CASE("counters are shown with their labels, escaped")
{
    Metrics metrics;
    metrics.counter("hits_total", "Hits.", {{"path", "a\"b\\c\nd"}}).add(3);
    metrics.counter("hits_total", "Hits.").add();
    CHECK(metrics.text() == "# HELP hits_total Hits.\n# TYPE hits_total counter\nhits_total 1\n"
                            "hits_total{path=\"a\\\"b\\\\c\\nd\"} 3\n");
}

TEST_CASE("a histogram counts into every bucket that is large enough")
{
    Metrics metrics;
    auto& latency = metrics.histogram("t_seconds", "Time.", {{"x", "y"}});
    latency.observe(std::chrono::microseconds{300});
    latency.observe(std::chrono::seconds{60});
    const auto text = metrics.text();
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
    metrics.gauge("lag", "Lag.", [&] { return value; });
    metrics.gauge("broken", "Broken.", []() -> double { throw std::runtime_error{"gone"}; });
    value = 2.5;
    CHECK_THAT(metrics.text(), Catch::Contains("\nlag 2.5\n") && !Catch::Contains("\nbroken "));
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
