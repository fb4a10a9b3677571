// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "http/guess_limit.hpp"

#include <escqrs/testing/catch2.hpp>

#include <chrono>
#include <string>

using http::GuessLimit;
using http::GuessLimitOptions;
using namespace std::chrono_literals;

namespace {

constexpr GuessLimit::Time start{1h};

std::string client(int number) { return "192.0.2." + std::to_string(number); }

/// A try that is wrong. @return how long it had to wait; nothing if it was refused
std::optional<GuessLimit::Duration> guess(GuessLimit& limit, const std::string& from, GuessLimit::Time now = start)
{
    const auto wait = limit.take(from, now);
    if (wait) limit.was_wrong(from, now);
    return wait;
}

/// Has a client guess until it has to wait.
void use_up(GuessLimit& limit, const std::string& from, GuessLimit::Time now = start)
{
    while (guess(limit, from, now) == 0s) {}
}

} // namespace

TEST_CASE("guesses: after a few a client waits, one try after the other, and is refused when too many wait")
{
    GuessLimit limit{{.interval = 1s, .burst = 3, .longest_wait = 2s}};
    for (int count = 0; count < 3; ++count) CHECK(guess(limit, client(1)) == 0s);
    CHECK(guess(limit, client(1)) == 1s);
    CHECK(guess(limit, client(1)) == 2s);
    CHECK_FALSE(guess(limit, client(1)));
    CHECK_FALSE(guess(limit, client(1))); // what is refused costs nothing
    CHECK(guess(limit, client(1), start + 1s) == 2s);
    CHECK(guess(limit, client(1), start + 1h) == 0s);
}

TEST_CASE("guesses: one client's make no other one wait")
{
    GuessLimit limit{{.burst = 3}};
    while (guess(limit, client(1))) {}
    CHECK(limit.take(client(2), start) == 0s);
}

TEST_CASE("guesses: right tries are free")
{
    GuessLimit limit{{.burst = 3}};
    for (int count = 0; count < 100; ++count) {
        REQUIRE(limit.take(client(1), start) == 0s);
        limit.was_right(client(1), start);
    }
}

TEST_CASE("guesses: clients that have been wrong wait for each other beyond the limit of all")
{
    GuessLimitOptions options{.interval_of_all = 1s, .burst_of_all = 5, .longest_wait = 3s};
    GuessLimit limit{options};
    for (int count = 0; count < 5; ++count) CHECK(guess(limit, client(1)) == 0s);
    CHECK(guess(limit, client(1)) == 1s);
    CHECK(guess(limit, client(2)) == 0s); // its first
    CHECK(guess(limit, client(2)) == 3s);
    CHECK_FALSE(guess(limit, client(2)));
    CHECK(guess(limit, client(2), start + 9min) == 0s);

    SECTION("not those that have been right, or not wrong lately")
    {
        use_up(limit, client(1), start + 9min);
        CHECK(limit.take(client(3), start + 9min) == 0s);
        limit.was_right(client(3), start + 9min);
        CHECK(guess(limit, client(3), start + 9min) == 0s);
        CHECK(guess(limit, client(3), start + 9min) == 0s);
        CHECK(limit.take(client(2), start + 9min) != 0s);
    }
    SECTION("and what they wait for is bounded, however many guess")
    {
        for (int count = 4; count < 250; ++count) guess(limit, client(count), start + 9min);
        CHECK(guess(limit, client(2), start + 9min + options.longest_wait + 6s) == 0s);
    }
}

TEST_CASE("guesses: an IPv6 client is its network, an IPv4 one is the same in either form")
{
    GuessLimit limit{{.burst = 1}};
    CHECK(guess(limit, "2001:db8:1:2::3") == 0s);
    CHECK(guess(limit, "2001:db8:1:2:ffff::4") == 1s);
    CHECK(guess(limit, "2001:db8:1:3::3") == 0s);
    CHECK(guess(limit, "192.0.2.1") == 0s);
    CHECK(guess(limit, "::ffff:192.0.2.1") == 1s);
}

TEST_CASE("guesses: a client with very many addresses of one network shuts out only its neighbours")
{
    GuessLimit limit{{.burst = 2, .max_clients = 2}};
    for (const char* const mine : {"2001:db8:0:1::1", "2001:db8:0:2::1", "2001:db8:0:3::1", "2001:db8:0:4::1"})
        CHECK(guess(limit, mine) == 0s);
    CHECK(guess(limit, "2001:db8:0:5::1") == 1s);
    CHECK(guess(limit, "198.51.100.7") == 0s);
    CHECK(guess(limit, "2001:db9:0:5::1") == 0s);
}

TEST_CASE("guesses: near clients beyond those that are remembered count as one, until there is room")
{
    GuessLimit limit{{.burst = 2, .memory_of_wrong = 10min, .max_clients = 3}};
    for (int number = 1; number <= 3; ++number) CHECK(guess(limit, client(number)) == 0s);
    for (int number = 4; number <= 5; ++number) CHECK(guess(limit, client(number)) == 0s);
    CHECK(guess(limit, client(6)) == 1s);
    CHECK(guess(limit, client(1)) == 0s);
    CHECK(guess(limit, client(7), start + 11min) == 0s);
    CHECK(guess(limit, client(8), start + 11min) == 0s);
    CHECK(guess(limit, client(8), start + 11min) == 0s);
}
