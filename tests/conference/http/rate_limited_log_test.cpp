// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "http/rate_limited_log.hpp"

#include <escqrs/testing/catch2.hpp>

#include <algorithm>
#include <chrono>
#include <new>
#include <string>
#include <string_view>
#include <vector>

using http::RateLimitedLog;

namespace {

RateLimitedLog log_into(std::vector<std::string>& lines, std::chrono::steady_clock::duration interval)
{
    return RateLimitedLog{[&lines](std::string_view line) { lines.emplace_back(line); }, 2, interval};
}

} // namespace

TEST_CASE("a flood of lines is cut off, and the next interval tells how many are missing")
{
    std::vector<std::string> lines;
    {
        auto log = log_into(lines, std::chrono::hours{1});
        for (int count = 0; count < 5000; ++count) log("the same");
    }
    CHECK(lines == std::vector<std::string>{"the same", "the same"});
    lines.clear();
    auto log = log_into(lines, std::chrono::milliseconds{1});
    const auto tells = [](const std::string& line) { return line.find("left out") != std::string::npos; };
    while (std::ranges::none_of(lines, tells)) log("the same");
}

TEST_CASE("a log without memory for a line throws nothing")
{
    RateLimitedLog log{[](std::string_view) { throw std::bad_alloc{}; }};
    CHECK_NOTHROW(log("anything"));
}
