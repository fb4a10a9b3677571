// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <escqrs/core/backoff.hpp>
#include <escqrs/testing/catch2.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <vector>

using namespace escqrs;
using namespace std::chrono_literals;

namespace {

std::vector<Duration> first_delays(Backoff& backoff, std::size_t count)
{
    std::vector<Duration> delays(count);
    std::ranges::generate(delays, [&] { return backoff.next(); });
    return delays;
}

} // namespace

TEST_CASE("delays double up to the longest, and begin anew after a success")
{
    Backoff backoff{20ms, 100ms};
    CHECK(first_delays(backoff, 5) == std::vector<Duration>{20ms, 40ms, 80ms, 100ms, 100ms});
    backoff.reset();
    CHECK(backoff.next() == 20ms);
}

TEST_CASE("the longest delay bounds the first one, and no delay overflows")
{
    Backoff capped{5s, 1s};
    CHECK(first_delays(capped, 2) == std::vector<Duration>{1s, 1s});
    Backoff none{0s, 1s};
    CHECK(first_delays(none, 2) == std::vector<Duration>{0s, 0s});
    Backoff endless{Duration::max() / 2 + 1us, Duration::max()};
    CHECK(first_delays(endless, 2) == std::vector<Duration>{Duration::max() / 2 + 1us, Duration::max()});
    Backoff jittered{Duration::max(), Duration::max(), [] { return 0.5; }, {1.0, 2.0}};
    CHECK(jittered.next() > Duration::max() / 4);
}

TEST_CASE("jitter draws each delay from its range, by default from the upper half")
{
    double drawn = 0.0;
    const Jitter jitter = [&] { return drawn; };
    Backoff half{100ms, 1s, jitter};
    Backoff full{100ms, 1s, jitter, {0.0, 1.0}};
    CHECK(half.next() == 50ms);
    CHECK(full.next() == 0ms);
    drawn = 0.5;
    CHECK(half.next() == 150ms); // of 200 ms: the doubling goes by the whole delay
    CHECK(full.next() == 100ms);
}

TEST_CASE("jitter is spread over the numbers from 0 up to 1")
{
    std::vector<double> draws;
    for (int draw = 0; draw < 1000; ++draw) draws.push_back(random_jitter());
    std::ranges::sort(draws);
    CHECK(draws.front() >= 0.0);
    CHECK(draws.back() < 1.0);
    CHECK(std::ranges::adjacent_find(draws) == draws.end());
    // The quarters are 14 standard deviations wide, so that this fails by accident never.
    CHECK(draws[250] > 0.1);
    CHECK(draws[250] < 0.4);
    CHECK(draws[750] > 0.6);
    CHECK(draws[750] < 0.9);
}
