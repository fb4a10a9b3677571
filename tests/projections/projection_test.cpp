// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "support/account.hpp"

#include <escqrs/commands/repository.hpp>
#include <escqrs/core/stop_token.hpp>
#include <escqrs/in_memory/checkpoint.hpp>
#include <escqrs/in_memory/event_store.hpp>
#include <escqrs/projections/projection.hpp>
#include <escqrs/testing/catch2.hpp>

#include <atomic>
#include <chrono>
#include <future>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

using namespace escqrs;
using account::Account;
using account::AccountOpened;
using account::MoneyDeposited;

namespace {

using Store = in_memory::EventStore;

/// Money by stream; statements are nothing to it.
struct Balances {
    using Events = EventList<AccountOpened, MoneyDeposited>;

    void handle(const AccountOpened&, const EventContext& context)
    {
        cents[context.stream.text()] = 0;
        replays += context.is_replay ? 1 : 0;
    }
    void handle(const MoneyDeposited& event, const EventContext& context)
    {
        cents[context.stream.text()] += event.cents;
        replays += context.is_replay ? 1 : 0;
    }
    void clear() { cents.clear(); }

    std::map<std::string, std::int64_t> cents;
    int replays = 0;
};

Account saved_account(Store& store)
{
    const Repository<Account, Store> accounts{store};
    auto account = Account::open(Account::Id{random_uuid()}, "Ada");
    account.deposit(5);
    account.send_statement(1);
    account.deposit(6);
    accounts.save(account);
    return account;
}

} // namespace

TEST_CASE("a projection folds the log into its read model and passes over other events")
{
    Store store;
    in_memory::Checkpoint place;
    Balances balances;
    const auto one = saved_account(store);
    const auto other = saved_account(store);
    Projection projection{store, place, balances};
    CHECK(projection.catch_up() == GlobalPosition{8});
    CHECK(balances.cents.size() == 2);
    CHECK(balances.cents["account-" + to_string(one.id())] == 11);
    CHECK(balances.cents["account-" + to_string(other.id())] == 11);
    CHECK(projection.catch_up() == GlobalPosition{8});
    CHECK(balances.cents["account-" + to_string(one.id())] == 11);
    CHECK(balances.replays == 0);
}

TEST_CASE("a restart builds the read model anew, and handlers can tell the old events from the new")
{
    Store store;
    in_memory::Checkpoint place;
    Balances balances;
    saved_account(store);
    Projection projection{store, place, balances};
    projection.catch_up();
    const auto before = balances.cents;
    projection.restart();
    CHECK(balances.cents.empty());
    saved_account(store);
    SECTION("in one go") {}
    SECTION("interrupted by another restart") { projection.restart(); }
    projection.catch_up();
    CHECK(balances.cents.size() == 2);
    CHECK(balances.cents.at(before.begin()->first) == before.begin()->second);
    CHECK(balances.replays == 3); // the first account's; the second one's are new
}

TEST_CASE("an event that cannot be decoded stops the projection and names its place")
{
    Store store;
    in_memory::Checkpoint place;
    Balances balances;
    saved_account(store);
    const NewEvent broken{EventId{random_uuid()}, "MoneyDeposited", 1, "application/unheard-of", {}, {}};
    store.append(StreamId{"account", "x"}, ExpectedVersion::any(), {&broken, 1});
    Projection projection{store, place, balances};
    CHECK_THROWS_AS(projection.catch_up(), HydrationError);
    CHECK_THROWS_WITH(projection.catch_up(), Catch::Contains("position 5"));
    CHECK(place.load() == GlobalPosition{});
}

TEST_CASE("a running projection tells that it has caught up again after its read model was built anew elsewhere")
{
    Store store;
    in_memory::Checkpoint place;
    Balances balances;
    saved_account(store);
    std::atomic<int> told{0};
    SubscriptionOptions options;
    options.max_wait = std::chrono::milliseconds{1};
    options.on_caught_up = [&](GlobalPosition) { ++told; };
    Projection projection{store, place, balances, options};
    const escqrs::jthread runner{[&](const escqrs::stop_token& stop) { projection.run(stop); }};
    while (told < 1) std::this_thread::yield();
    Balances elsewhere;
    Projection{store, place, elsewhere}.restart();
    while (told < 2) std::this_thread::yield();
    CHECK(place.load() == GlobalPosition{4});
}

TEST_CASE("a wait for a position is not delayed by a page that is being handled")
{
    in_memory::Checkpoint place;
    auto page = std::make_unique<in_memory::Checkpoint::Transaction>(place.begin());
    auto waiting =
        std::async(std::launch::async, [&] { return wait_for(place, GlobalPosition{1}, system_clock().now()); });
    const bool has_returned = waiting.wait_for(std::chrono::seconds{30}) == std::future_status::ready;
    page.reset();
    CHECK(has_returned);
    CHECK_FALSE(waiting.get());
}

TEST_CASE("a running projection follows the log")
{
    Store store;
    in_memory::Checkpoint place;
    Balances balances;
    {
        Projection projection{store, place, balances};
        escqrs::jthread runner{[&](escqrs::stop_token stop) { projection.run(stop); }};
        for (int round = 0; round < 5; ++round) saved_account(store);
        while (place.load() < GlobalPosition{20}) std::this_thread::yield();
    }
    CHECK(balances.cents.size() == 5);
}

namespace {

/// Takes some of the events and knows of all the others that there can be.
struct Owners {
    using Events = EventList<AccountOpened>;
    using KnownEvents = Account::EventTypes;

    void handle(const AccountOpened& event, const EventContext&) { names.push_back(event.owner); }
    void clear() { names.clear(); }

    std::vector<std::string> names;
};

void append_raw(Store& store, std::string_view type, unsigned schema_version)
{
    const NewEvent event{EventId{random_uuid()}, type, schema_version, "application/octet-stream", {}, {}};
    store.append(StreamId{"account", "raw"}, ExpectedVersion::any(), {&event, 1});
}

/// Tells what it was asked for.
struct SpyingStore : Store {
    using Store::read_log;
    GlobalPosition read_log(GlobalPosition after, std::size_t at_most, const EventFilter& filter, EventSink sink)
    {
        asked_for = filter;
        return Store::read_log(after, at_most, filter, sink);
    }

    EventFilter asked_for;
};

} // namespace

TEST_CASE("a projection asks its store for what its handlers handle, unless told otherwise")
{
    SpyingStore store;
    in_memory::Checkpoint place;
    Balances balances;
    saved_account(store);
    SECTION("by itself")
    {
        Projection projection{store, place, balances};
        projection.catch_up();
        CHECK(store.asked_for == EventFilter{.types = {"AccountOpened", "MoneyDeposited"}});
        CHECK(balances.cents.begin()->second == 11);
    }
    SECTION("told which types")
    {
        SubscriptionOptions options;
        options.filter = {.categories = {"account"}, .types = {"AccountOpened"}};
        Projection projection{store, place, balances, options};
        CHECK(projection.catch_up() == GlobalPosition{4});
        CHECK(store.asked_for == options.filter);
        CHECK(balances.cents.begin()->second == 0);
    }
    SECTION("handlers that know all there is have to see what they do not know")
    {
        Owners owners;
        Projection projection{store, place, owners};
        projection.catch_up();
        CHECK(store.asked_for.matches_everything());
        CHECK(owners.names == std::vector<std::string>{"Ada"});
    }
    SECTION("and handles only what the predicate lets through")
    {
        SubscriptionOptions options;
        options.predicate = [](const RecordedEvent& event) { return event.version < StreamVersion{4}; };
        Projection projection{store, place, balances, options};
        CHECK(projection.catch_up() == GlobalPosition{4});
        CHECK(balances.cents.begin()->second == 5);
    }
}

TEST_CASE("events of newer code stop a projection, or are skipped by choice")
{
    Store store;
    in_memory::Checkpoint place;
    Owners owners;
    saved_account(store);
    SECTION("a type")
    {
        append_raw(store, "AccountFrozen", 0);
        Projection projection{store, place, owners};
        CHECK_THROWS_WITH(projection.catch_up(), Catch::Contains("AccountFrozen") && Catch::Contains("position 5"));
    }
    SECTION("a schema version")
    {
        append_raw(store, "AccountOpened", 7);
        Projection projection{store, place, owners};
        CHECK_THROWS_WITH(projection.catch_up(), Catch::Contains("AccountOpened") && Catch::Contains("position 5"));
    }
    SECTION("bytes that are damaged are not newer")
    {
        append_raw(store, "AccountOpened", 0);
        SubscriptionOptions options;
        options.unknown_events = UnknownEvents::skip;
        Projection projection{store, place, owners, options};
        CHECK_THROWS_AS(projection.catch_up(), HydrationError);
        return;
    }
    CHECK(place.load() == GlobalPosition{});
    saved_account(store);
    owners.names.clear();

    std::vector<std::uint64_t> skipped;
    SubscriptionOptions options;
    options.unknown_events = UnknownEvents::skip;
    options.on_skipped = [&](const RecordedEvent& event, const std::exception&) {
        skipped.push_back(event.position.value());
    };
    Projection projection{store, place, owners, options};
    CHECK(projection.catch_up() == GlobalPosition{9});
    CHECK(owners.names.size() == 2);
    CHECK(skipped == std::vector<std::uint64_t>{5});
}

TEST_CASE("a wait for a projection ends when it has committed the position")
{
    Store store;
    in_memory::Checkpoint place;
    Balances balances;
    Projection projection{store, place, balances};
    const auto soon = [](auto duration) { return system_clock().now() + duration; };
    CHECK_FALSE(wait_for(projection, GlobalPosition{1}, soon(std::chrono::milliseconds{5})));
    CHECK_FALSE(wait_for(place, GlobalPosition{1}, soon(std::chrono::milliseconds{5})));
    CHECK_FALSE(wait_for(projection, GlobalPosition{1}, Timestamp::min()));
    CHECK(wait_for(projection, GlobalPosition{}, Timestamp::min()));
    CHECK(wait_for(place, GlobalPosition{}, Timestamp::min()));
    {
        escqrs::jthread runner{[&](escqrs::stop_token stop) { projection.run(stop); }};
        for (std::uint64_t round = 1; round <= 20; ++round) {
            saved_account(store);
            REQUIRE(wait_for(projection, GlobalPosition{4 * round}, soon(std::chrono::seconds{30})));
            REQUIRE(place.load() == GlobalPosition{4 * round});
            REQUIRE(wait_for(place, GlobalPosition{4 * round}, soon(std::chrono::seconds{30})));
        }
        escqrs::jthread impatient{[&](escqrs::stop_token stop) {
            CHECK_FALSE(wait_for(projection, GlobalPosition{999}, Timestamp::max(), stop));
            CHECK_FALSE(wait_for(place, GlobalPosition{999}, Timestamp::max(), stop));
        }};
    }
    CHECK(balances.cents.size() == 20);
}
