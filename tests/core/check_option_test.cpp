// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "support/account.hpp"

#include <escqrs/commands/dispatcher/command_dispatcher.hpp>
#include <escqrs/commands/dispatcher/keyed_executor.hpp>
#include <escqrs/commands/middleware/retry_on_conflict.hpp>
#include <escqrs/commands/middleware/tracing.hpp>
#include <escqrs/commands/repository.hpp>
#include <escqrs/core/stop_token.hpp>
#include <escqrs/in_memory/checkpoint.hpp>
#include <escqrs/in_memory/event_store.hpp>
#include <escqrs/in_memory/message_queue.hpp>
#include <escqrs/projections/parallel_subscription.hpp>
#include <escqrs/projections/projection.hpp>
#include <escqrs/projections/subscription.hpp>
#include <escqrs/testing/catch2.hpp>

#include <chrono>
#include <functional>
#include <future>
#include <limits>
#include <memory>
#include <string>

using namespace escqrs;
using account::Account;

namespace {

using Store = in_memory::EventStore;

struct Nothing {
    using Events = EventList<account::AccountOpened>;
    void handle(const account::AccountOpened&, const EventContext&) {}
    void clear() {}
};

/// The option that `make()` is refused for.
template <class Make>
std::string refused_option(Make make)
{
    try {
        make();
        return "none";
    } catch (const InvalidOption& error) {
        CHECK_THAT(error.what(),
                   Catch::Contains("option " + error.option() + ": expected") && Catch::Contains("found"));
        return error.option();
    }
}

} // namespace

TEST_CASE("readers of the log refuse options that they cannot work with, by name")
{
    Store store;
    in_memory::Checkpoint place;
    Nothing handlers;
    SubscriptionOptions options;
    std::string wrong;
    SECTION("pages of nothing")
    {
        options.page_size = 0;
        wrong = "page_size";
    }
    SECTION("no pause at the end of the log")
    {
        options.max_wait = Duration::zero();
        wrong = "max_wait";
    }
    SECTION("a time that runs backwards")
    {
        options.first_retry_delay = Duration{-1};
        wrong = "first_retry_delay";
    }
    SECTION("another one")
    {
        options.max_retry_delay = Duration{-1};
        wrong = "max_retry_delay";
    }
    SECTION("no clock")
    {
        options.clock = nullptr;
        wrong = "clock";
    }
    CHECK(refused_option([&] { Subscription{store, place, options}; }) == wrong);
    CHECK(refused_option([&] { ParallelSubscription{store, place, 1, options}; }) == wrong);
    CHECK(refused_option([&] { Projection{store, place, handlers, options}; }) == wrong);
}

TEST_CASE("options without an end are taken for what they say")
{
    Store store;
    in_memory::Checkpoint place;
    const Repository<Account, Store> accounts{store};
    for (int count = 0; count < 3; ++count) {
        auto account = Account::open(Account::Id{random_uuid()}, "Ada");
        accounts.save(account);
    }
    SubscriptionOptions options;
    options.page_size = std::numeric_limits<std::size_t>::max();
    options.max_wait = options.first_retry_delay = options.max_retry_delay = Duration::max();
    const auto ignore = [](const RecordedEvent&) {};
    SECTION("a subscription") { CHECK(Subscription{store, place, options}.catch_up(ignore) == store.head()); }
    SECTION("a parallel one")
    {
        options.page_size = std::numeric_limits<std::size_t>::max() / 4 + 1;
        CHECK(ParallelSubscription{store, place, 2, options}.catch_up(ignore) == store.head());
    }
    SECTION("a clock's longest wait")
    {
        escqrs::stop_source stop;
        auto waiting = std::async(
            std::launch::async, [&] { return store.wait_for_events(store.head(), Duration::max(), stop.get_token()); });
        CHECK(waiting.wait_for(std::chrono::milliseconds{50}) == std::future_status::timeout);
        stop.request_stop();
        CHECK_FALSE(waiting.get());
    }
}

TEST_CASE("repositories, middleware and executors refuse options that they cannot work with, by name")
{
    Store store;
    const auto repository = [&](const RepositoryOptions& options) {
        return refused_option([&] { Repository<Account, Store>{store, options}; });
    };
    CHECK(repository({.retry = {.attempts = 0}}) == "attempts");
    CHECK(repository({.retry = {.delay = Duration{-1}}}) == "delay");
    CHECK(repository({.retry = {.max_delay = Duration{-1}}}) == "max_delay");
    CHECK(repository({.retry = {}, .ids = nullptr}) == "ids");
    CHECK(repository({.retry = {}, .clock = nullptr}) == "clock");
    CHECK(refused_option([] { (void)retry_on_conflict({.attempts = 0}); }) == "attempts");
    CHECK(refused_option([] { (void)retry_on_conflict({}, system_clock(), nullptr); }) == "jitter");
    const auto ignore = [](const CommandSpan&) {};
    CHECK(refused_option([&] { (void)tracing(ignore, {.clock = nullptr}); }) == "clock");
    CHECK(refused_option([&] { (void)tracing(ignore, {.ids = nullptr}); }) == "ids");
    CHECK(refused_option([] { (void)tracing(nullptr); }) == "sink");
    using Executor = std::function<void(std::function<void()>)>;
    CHECK(refused_option([] { KeyedExecutor<Executor>{Executor{}}; }) == "executor");
    const CommandBus bus;
    CHECK(refused_option([&] { CommandDispatcher<Executor>{bus, Executor{}}; }) == "executor");
    in_memory::Checkpoint place;
    CHECK(refused_option([&] { ParallelSubscription{store, place, 0}; }) == "threads");
    CHECK(refused_option([&] {
              (void)wait_for(place, GlobalPosition{1}, system_clock().now(), {}, Duration::zero());
          }) == "poll_interval");
}

TEST_CASE("stores and queues in memory refuse options that they cannot work with, by name")
{
    CHECK(refused_option([] { Store{{.clock = nullptr}}; }) == "clock");
    CHECK(refused_option([] { AnyEventStore{std::shared_ptr<Store>{}}; }) == "store");
    CHECK_THROWS_WITH((in_memory::MessageQueue{{}, nullptr}), Catch::Contains("lock_tokens"));
    CHECK_THROWS_WITH((in_memory::MessageQueue{{.clock = nullptr}}), Catch::Contains("clock"));
}
