// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <service_bus/unclaimed_messages.hpp>

#include <escqrs/testing/catch2.hpp>

#include <chrono>
#include <string>
#include <vector>

namespace {

using namespace service_bus;
using namespace std::chrono_literals;

const escqrs::SteadyTime begin{1h};

constexpr LinkId a{1};
constexpr LinkId b{2};

ArrivedMessage message(const std::string& token, LinkId link, escqrs::SteadyTime at)
{
    ArrivedMessage message{.received = {}, .link = link, .at = at};
    message.received.lock_token = token;
    return message;
}

std::vector<std::string> tokens(const std::vector<ArrivedMessage>& messages)
{
    std::vector<std::string> found;
    for (const auto& each : messages) found.push_back(each.received.lock_token);
    return found;
}

} // namespace

TEST_CASE("unclaimed messages are taken by link, in the order in which they came")
{
    UnclaimedMessages unclaimed;
    unclaimed.add(message("a1", a, begin));
    unclaimed.add(message("b1", b, begin + 1s));
    unclaimed.add(message("a2", a, begin + 2s));
    unclaimed.add(message("a3", a, begin + 3s));
    CHECK(unclaimed.count_of(a) == 3);
    const std::vector<LinkId> only_a{a};
    const std::vector<LinkId> both{a, b};
    CHECK(tokens(unclaimed.take(2, only_a)) == std::vector<std::string>{"a1", "a2"});
    CHECK(tokens(unclaimed.take(0, both)).empty());
    CHECK(tokens(unclaimed.take(5, both)) == std::vector<std::string>{"b1", "a3"});
    CHECK(unclaimed.empty());
}

TEST_CASE("unclaimed messages that are too old, settled, or of a lost link are taken out")
{
    UnclaimedMessages unclaimed;
    for (int number = 0; number < 4; ++number) {
        unclaimed.add(message("a" + std::to_string(number), a, begin + number * 1s));
        unclaimed.add(message("b" + std::to_string(number), b, begin + number * 1s));
    }
    CHECK(unclaimed.take_older_than(begin - 1us, a).empty());
    CHECK(unclaimed.take_older_than(begin + 1s, a) == std::vector<std::string>{"a0", "a1"});
    unclaimed.erase("a3");
    CHECK(unclaimed.count_of(a) == 1);
    unclaimed.erase_all_of(b);
    CHECK(unclaimed.count_of(b) == 0);
    CHECK(unclaimed.size() == 1);
}
