// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "support/account.hpp"

#include <escqrs/in_memory/checkpoint.hpp>
#include <escqrs/in_memory/event_store.hpp>
#include <escqrs/projection.hpp>
#include <escqrs/repository.hpp>
#include <escqrs/testing/catch2.hpp>

#include <map>
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

TEST_CASE("a running projection follows the log")
{
    Store store;
    in_memory::Checkpoint place;
    Balances balances;
    {
        Projection projection{store, place, balances};
        std::jthread runner{[&](std::stop_token stop) { projection.run(stop); }};
        for (int round = 0; round < 5; ++round) saved_account(store);
        while (place.load() < GlobalPosition{20}) std::this_thread::yield();
    }
    CHECK(balances.cents.size() == 5);
}
