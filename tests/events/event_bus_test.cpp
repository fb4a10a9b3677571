// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "support/account.hpp"

#include <escqrs/core/id_generator.hpp>
#include <escqrs/events/event_bus.hpp>
#include <escqrs/events/snapshot_event_bus.hpp>
#include <escqrs/testing/catch2.hpp>

#include <atomic>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
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

TEMPLATE_TEST_CASE("an event reaches every subscriber to its type, in order of subscription, and no other", "",
                   EventBus, SnapshotEventBus)
{
    TestType bus;
    std::vector<std::string> seen;
    const auto first =
        bus.template subscribe<AccountOpened>([&](const AccountOpened& event) { seen.push_back("1 " + event.owner); });
    const auto second =
        bus.template subscribe<AccountOpened>([&](const AccountOpened& event, const EventContext& about) {
            seen.push_back("2 " + event.owner + " v" + std::to_string(about.version.value()));
        });
    const auto other =
        bus.template subscribe<MoneyDeposited>([&](const MoneyDeposited&) { seen.emplace_back("money"); });
    const auto all =
        bus.subscribe_to_all([&](const PublishedEvent& event) { seen.push_back("all " + std::string{event.name}); });

    bus.publish(AccountOpened{"Ada"}, context(4));
    CHECK(seen == std::vector<std::string>{"1 Ada", "2 Ada v4", "all AccountOpened"});
}

TEMPLATE_TEST_CASE("publishing without subscribers does nothing", "", EventBus, SnapshotEventBus)
{
    TestType bus;
    CHECK_NOTHROW(bus.publish(AccountOpened{"Ada"}, context()));
}

TEMPLATE_TEST_CASE("a connection ends with its owner", "", EventBus, SnapshotEventBus)
{
    TestType bus;
    int calls = 0;
    {
        const auto connection = bus.template subscribe<AccountOpened>([&](const AccountOpened&) { ++calls; });
        bus.publish(AccountOpened{}, context());
    }
    bus.publish(AccountOpened{}, context());
    CHECK(calls == 1);

    auto owner = std::make_shared<int>(0);
    bus.template subscribe<AccountOpened>(owner, [&calls](const AccountOpened&) { ++calls; });
    bus.publish(AccountOpened{}, context());
    CHECK(calls == 2);
    owner.reset();
    bus.publish(AccountOpened{}, context());
    CHECK(calls == 2);
}

TEMPLATE_TEST_CASE("a failing subscriber keeps no other from the event, and every failure is reported", "", EventBus,
                   SnapshotEventBus)
{
    TestType bus;
    int reached = 0;
    const auto one =
        bus.template subscribe<AccountOpened>([](const AccountOpened&) { throw std::runtime_error{"first"}; });
    const auto two = bus.template subscribe<AccountOpened>([&](const AccountOpened&) { ++reached; });
    const auto three =
        bus.template subscribe<AccountOpened>([](const AccountOpened&) { throw 42; }); // NOLINT: on purpose
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

TEMPLATE_TEST_CASE("a subscriber may publish, subscribe and disconnect from inside a call", "", EventBus,
                   SnapshotEventBus)
{
    TestType bus;
    std::vector<std::string> seen;
    std::optional<typename TestType::Connection> late;
    typename TestType::Connection self;
    self = bus.template subscribe<AccountOpened>([&](const AccountOpened&) {
        seen.emplace_back("opened");
        self.disconnect();
        late = bus.template subscribe<AccountOpened>([&](const AccountOpened&) { seen.emplace_back("late"); });
        bus.publish(MoneyDeposited{1, ""}, context());
    });
    const auto money =
        bus.template subscribe<MoneyDeposited>([&](const MoneyDeposited&) { seen.emplace_back("money"); });

    bus.publish(AccountOpened{}, context());
    CHECK(seen == std::vector<std::string>{"opened", "money"});
    bus.publish(AccountOpened{}, context());
    CHECK(seen == std::vector<std::string>{"opened", "money", "late"});
}

TEMPLATE_TEST_CASE(
    "subscribers are called by group, and within it in order of subscription, those to every type among the others", "",
    EventBus, SnapshotEventBus)
{
    TestType bus;
    std::vector<std::string> seen;
    const auto see = [&](std::string name) { return [&seen, name](const auto&) { seen.push_back(name); }; };
    std::vector<typename TestType::Connection> connections;
    connections.push_back(bus.subscribe_to_all(see("all 0")));
    connections.push_back(bus.template subscribe<AccountOpened>(SubscriberGroup{7}, see("typed 7")));
    connections.push_back(bus.template subscribe<AccountOpened>(see("typed 0")));
    connections.push_back(bus.subscribe_to_all(SubscriberGroup{-5}, see("all -5")));
    connections.push_back(bus.template subscribe<AccountOpened>(SubscriberGroup{-5}, see("typed -5")));
    const auto owner = std::make_shared<int>(0);
    bus.template subscribe<AccountOpened>(owner, SubscriberGroup{-6}, see("owned -6"));
    bus.subscribe_to_all(owner, SubscriberGroup{8}, see("owned all 8"));
    connections.push_back(bus.subscribe_to_all(see("all 0 again")));
    bus.publish(AccountOpened{}, context());
    CHECK(seen == std::vector<std::string>{"owned -6", "all -5", "typed -5", "all 0", "typed 0", "all 0 again",
                                           "typed 7", "owned all 8"});
    seen.clear();
    bus.publish(MoneyDeposited{1, ""}, context()); // to which no handler has subscribed by its type
    CHECK(seen == std::vector<std::string>{"all -5", "all 0", "all 0 again", "owned all 8"});
}

TEMPLATE_TEST_CASE("a subscription to every type ends with its connection or its owner", "", EventBus, SnapshotEventBus)
{
    TestType bus;
    int calls = 0;
    auto connection = bus.subscribe_to_all([&](const PublishedEvent&) { ++calls; });
    auto owner = std::make_shared<int>(0);
    bus.subscribe_to_all(owner, [&](const PublishedEvent&) { calls += 10; });
    bus.publish(AccountOpened{}, context());
    CHECK(calls == 11);
    connection.disconnect();
    bus.publish(AccountOpened{}, context());
    bus.publish(MoneyDeposited{}, context()); // a type that comes up only now
    CHECK(calls == 31);
    owner.reset();
    bus.publish(AccountOpened{}, context());
    bus.publish(MoneyDeposited{}, context());
    CHECK(calls == 31);
}

TEMPLATE_TEST_CASE("a connection ends when it is replaced, and continues when it is moved", "", EventBus,
                   SnapshotEventBus)
{
    TestType bus;
    int first = 0;
    int second = 0;
    auto connection = bus.template subscribe<AccountOpened>([&](const AccountOpened&) { ++first; });
    auto moved = std::move(connection);
    bus.publish(AccountOpened{}, context());
    CHECK(first == 1);
    auto& itself = moved;
    moved = std::move(itself);
    bus.publish(AccountOpened{}, context());
    CHECK(first == 2);
    moved = bus.subscribe_to_all([&](const PublishedEvent&) { ++second; });
    bus.publish(AccountOpened{}, context());
    CHECK(first == 2);
    CHECK(second == 1);
    moved = typename TestType::Connection{};
    bus.publish(AccountOpened{}, context());
    CHECK(second == 1);
}

TEMPLATE_TEST_CASE("a subscriber that is disconnected, or loses its owner, before its turn does not get the event", "",
                   EventBus, SnapshotEventBus)
{
    TestType bus;
    std::vector<std::string> seen;
    typename TestType::Connection typed;
    typename TestType::Connection to_all;
    auto owner = std::make_shared<int>(0);
    const auto first = bus.template subscribe<AccountOpened>(SubscriberGroup{-1}, [&](const AccountOpened&) {
        seen.emplace_back("first");
        typed.disconnect();
        to_all.disconnect();
        owner.reset();
    });
    typed = bus.template subscribe<AccountOpened>([&](const AccountOpened&) { seen.emplace_back("typed"); });
    to_all = bus.subscribe_to_all([&](const PublishedEvent&) { seen.emplace_back("to all"); });
    bus.template subscribe<AccountOpened>(owner, [&](const AccountOpened&) { seen.emplace_back("owned"); });
    const auto last = bus.template subscribe<AccountOpened>([&](const AccountOpened&) { seen.emplace_back("last"); });
    bus.publish(AccountOpened{}, context());
    CHECK(seen == std::vector<std::string>{"first", "last"});
}

TEMPLATE_TEST_CASE("a subscriber may end itself, and with it what it has captured", "", EventBus, SnapshotEventBus)
{
    TestType bus;
    int calls = 0;
    auto connection = std::make_shared<typename TestType::Connection>();
    *connection = bus.template subscribe<AccountOpened>([&, text = std::string(100, 'x')](const AccountOpened&) {
        connection.reset();
        if (text == std::string(100, 'x')) ++calls; // still there
    });
    bus.publish(AccountOpened{}, context());
    bus.publish(AccountOpened{}, context());
    CHECK(calls == 1);
}

TEMPLATE_TEST_CASE("what a handler has captured goes with its connection, or when the event under way is over", "",
                   EventBus, SnapshotEventBus)
{
    TestType bus;
    auto captured = std::make_shared<int>(0);
    const auto kept = bus.template subscribe<AccountOpened>([captured](const AccountOpened&) {});
    auto connection = bus.template subscribe<AccountOpened>([captured](const AccountOpened&) {});
    connection.disconnect();
    CHECK(captured.use_count() == 2);

    connection = bus.template subscribe<AccountOpened>([&, mine = captured](const AccountOpened&) {
        connection.disconnect();
        CHECK(mine.use_count() == 3);
    });
    bus.publish(AccountOpened{}, context());
    CHECK(captured.use_count() == 2);

    auto owner = std::make_shared<int>(0);
    bus.template subscribe<AccountOpened>(owner, [captured](const AccountOpened&) {});
    owner.reset();
    bus.publish(AccountOpened{}, context());
    CHECK(captured.use_count() == 2);
}

TEMPLATE_TEST_CASE("an owner lives until its handler returns, and is destroyed right after if nothing else holds it",
                   "", EventBus, SnapshotEventBus)
{
    TestType bus;
    struct Owner {
        explicit Owner(bool& is_gone) : gone{&is_gone} {}
        Owner(const Owner&) = delete;
        Owner& operator=(const Owner&) = delete;
        ~Owner() { *gone = true; }
        bool* gone;
    };
    bool gone = false;
    auto owner = std::make_shared<Owner>(gone);
    bool was_gone_inside = true;
    bus.template subscribe<AccountOpened>(owner, [&](const AccountOpened&) {
        owner.reset();
        was_gone_inside = gone;
    });
    bus.publish(AccountOpened{}, context());
    CHECK_FALSE(was_gone_inside);
    CHECK(gone);
}

TEMPLATE_TEST_CASE("a nested publish ends before the outer one continues, also of the same type", "", EventBus,
                   SnapshotEventBus)
{
    TestType bus;
    std::vector<std::string> seen;
    const auto first = bus.template subscribe<MoneyDeposited>([&](const MoneyDeposited& event) {
        seen.push_back("first " + std::to_string(event.cents));
        if (event.cents > 1) bus.publish(MoneyDeposited{event.cents - 1, ""}, context());
    });
    const auto second = bus.template subscribe<MoneyDeposited>(
        [&](const MoneyDeposited& event) { seen.push_back("second " + std::to_string(event.cents)); });
    bus.publish(MoneyDeposited{3, ""}, context());
    CHECK(seen == std::vector<std::string>{"first 3", "first 2", "first 1", "second 1", "second 2", "second 3"});
}

TEMPLATE_TEST_CASE("failures inside a nested publish are one failure of the subscriber that published", "", EventBus,
                   SnapshotEventBus)
{
    TestType bus;
    int reached = 0;
    const auto outer = bus.template subscribe<AccountOpened>([&](const AccountOpened&) {
        bus.publish(MoneyDeposited{1, ""}, context());
    });
    const auto after = bus.template subscribe<AccountOpened>([&](const AccountOpened&) { ++reached; });
    const auto inner =
        bus.template subscribe<MoneyDeposited>([](const MoneyDeposited&) { throw std::runtime_error{"no money"}; });
    try {
        bus.publish(AccountOpened{}, context());
        FAIL("publish was silent about a failure");
    } catch (const EventDispatchError& error) {
        REQUIRE(error.failures().size() == 1);
        CHECK_THROWS_AS(std::rethrow_exception(error.failures()[0]), EventDispatchError);
        CHECK_THAT(error.what(), Catch::Contains("AccountOpened") && Catch::Contains("MoneyDeposited") &&
                                     Catch::Contains("no money"));
    }
    CHECK(reached == 1);
}

TEMPLATE_TEST_CASE(
    "a handler that is subscribed to every type from inside a call gets the next event, whatever its type", "",
    EventBus, SnapshotEventBus)
{
    TestType bus;
    std::vector<std::string> seen;
    typename TestType::Connection late;
    const auto first = bus.template subscribe<AccountOpened>([&](const AccountOpened&) {
        late = bus.subscribe_to_all([&](const PublishedEvent& event) { seen.emplace_back(event.name); });
        bus.publish(MoneyDeposited{1, ""}, context());
    });
    bus.publish(AccountOpened{}, context());
    CHECK(seen == std::vector<std::string>{"MoneyDeposited"});
}

TEMPLATE_TEST_CASE("an event on the bus is neither copied nor moved", "", EventBus, SnapshotEventBus)
{
    TestType bus;
    const auto one = bus.template subscribe<Counted>([](const Counted&) {});
    const auto two = bus.template subscribe<Counted>([](const Counted&, const EventContext&) {});
    const auto all = bus.subscribe_to_all([](const PublishedEvent&) {});
    Counted::copies = 0;
    const Counted event;
    bus.publish(event, context());
    CHECK(Counted::copies == 0);
}
