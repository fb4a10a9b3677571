// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "support/account.hpp"

#include <escqrs/event_bus.hpp>
#include <escqrs/id_generator.hpp>
#include <escqrs/testing/catch2.hpp>

#include <atomic>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace escqrs;
using account::AccountOpened;
using account::MoneyDeposited;

namespace {

EventContext context(std::uint64_t version = 1)
{
    return {StreamId{"account", "1"}, StreamVersion{version}, GlobalPosition{version}, EventId{random_uuid()}};
}

/// Counts how often it is copied and moved.
struct Counted {
    static constexpr std::string_view event_name = "Counted";
    static inline std::atomic<int> copies{0};

    Counted() = default;
    Counted(const Counted&) { ++copies; }
    Counted(Counted&&) noexcept { ++copies; }
    Counted& operator=(const Counted&) = delete;
    Counted& operator=(Counted&&) = delete;
    ~Counted() = default;
};

} // namespace

TEST_CASE("an event reaches every subscriber of its type, in order of subscription, and nobody else")
{
    EventBus bus;
    std::vector<std::string> seen;
    const auto first =
        bus.subscribe<AccountOpened>([&](const AccountOpened& event) { seen.push_back("1 " + event.owner); });
    const auto second = bus.subscribe<AccountOpened>([&](const AccountOpened& event, const EventContext& about) {
        seen.push_back("2 " + event.owner + " v" + std::to_string(about.version.value()));
    });
    const auto other = bus.subscribe<MoneyDeposited>([&](const MoneyDeposited&) { seen.emplace_back("money"); });
    const auto all =
        bus.subscribe_to_all([&](const PublishedEvent& event) { seen.push_back("all " + std::string{event.name}); });

    bus.publish(AccountOpened{"Ada"}, context(4));
    CHECK(seen == std::vector<std::string>{"1 Ada", "2 Ada v4", "all AccountOpened"});
}

TEST_CASE("publishing without subscribers does nothing")
{
    EventBus bus;
    CHECK_NOTHROW(bus.publish(AccountOpened{"Ada"}, context()));
}

TEST_CASE("a connection ends with its owner")
{
    EventBus bus;
    int calls = 0;
    {
        const auto connection = bus.subscribe<AccountOpened>([&](const AccountOpened&) { ++calls; });
        bus.publish(AccountOpened{}, context());
    }
    bus.publish(AccountOpened{}, context());
    CHECK(calls == 1);

    auto owner = std::make_shared<int>(0);
    bus.subscribe<AccountOpened>(owner, [&calls](const AccountOpened&) { ++calls; });
    bus.publish(AccountOpened{}, context());
    CHECK(calls == 2);
    owner.reset();
    bus.publish(AccountOpened{}, context());
    CHECK(calls == 2);
}

TEST_CASE("a failing subscriber keeps nobody from the event, and every failure is told")
{
    EventBus bus;
    int reached = 0;
    const auto one = bus.subscribe<AccountOpened>([](const AccountOpened&) { throw std::runtime_error{"first"}; });
    const auto two = bus.subscribe<AccountOpened>([&](const AccountOpened&) { ++reached; });
    const auto three = bus.subscribe<AccountOpened>([](const AccountOpened&) { throw 42; }); // NOLINT: on purpose
    const auto all = bus.subscribe_to_all([](const PublishedEvent&) { throw std::logic_error{"fourth"}; });
    try {
        bus.publish(AccountOpened{}, context());
        FAIL("publish was silent about three failures");
    } catch (const EventDispatchError& error) {
        CHECK(error.failures().size() == 3);
        CHECK_THAT(error.what(),
                   Catch::Contains("AccountOpened") && Catch::Contains("first") && Catch::Contains("fourth"));
        CHECK_THROWS_AS(std::rethrow_exception(error.failures()[0]), std::runtime_error);
        CHECK_THROWS_AS(std::rethrow_exception(error.failures()[1]), int);
    }
    CHECK(reached == 1);
}

TEST_CASE("a subscriber may publish, subscribe and disconnect from inside a call")
{
    EventBus bus;
    std::vector<std::string> seen;
    std::optional<EventBus::Connection> late;
    EventBus::Connection self;
    self = bus.subscribe<AccountOpened>([&](const AccountOpened&) {
        seen.emplace_back("opened");
        self.disconnect();
        late = bus.subscribe<AccountOpened>([&](const AccountOpened&) { seen.emplace_back("late"); });
        bus.publish(MoneyDeposited{1, ""}, context());
    });
    const auto money = bus.subscribe<MoneyDeposited>([&](const MoneyDeposited&) { seen.emplace_back("money"); });

    bus.publish(AccountOpened{}, context());
    CHECK(seen == std::vector<std::string>{"opened", "money"});
    bus.publish(AccountOpened{}, context());
    CHECK(seen == std::vector<std::string>{"opened", "money", "late"});
}

TEST_CASE("an event on the bus is neither copied nor moved")
{
    EventBus bus;
    const auto one = bus.subscribe<Counted>([](const Counted&) {});
    const auto two = bus.subscribe<Counted>([](const Counted&, const EventContext&) {});
    const auto all = bus.subscribe_to_all([](const PublishedEvent&) {});
    Counted::copies = 0;
    const Counted event;
    bus.publish(event, context());
    CHECK(Counted::copies == 0);
}

TEST_CASE("publishing, subscribing and disconnecting race without harm")
{
    EventBus bus;
    std::atomic<int> steady{0};
    constexpr int rounds = 500;
    const auto connection = bus.subscribe<MoneyDeposited>([&](const MoneyDeposited&) { ++steady; });
    {
        std::vector<std::jthread> threads;
        for (int thread = 0; thread < 2; ++thread) {
            threads.emplace_back([&] {
                for (int round = 0; round < rounds; ++round) bus.publish(MoneyDeposited{1, ""}, context());
            });
            threads.emplace_back([&] {
                for (int round = 0; round < rounds; ++round) {
                    const auto passing = bus.subscribe<MoneyDeposited>([](const MoneyDeposited&) {});
                    const auto other = bus.subscribe<AccountOpened>([](const AccountOpened&) {});
                }
            });
        }
    }
    CHECK(steady == 2 * rounds);
}
