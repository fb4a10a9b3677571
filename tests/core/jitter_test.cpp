// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <escqrs/core/jitter.hpp>
#include <escqrs/testing/catch2.hpp>

#include <algorithm>
#include <vector>

TEST_CASE("jitter is spread over the numbers from 0 up to 1")
{
    std::vector<double> draws;
    for (int draw = 0; draw < 1000; ++draw) draws.push_back(escqrs::random_jitter());
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
