// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <escqrs/sqlite/parking_lot.hpp>

#include <escqrs/commands/repository.hpp>
#include <escqrs/in_memory/event_store.hpp>
#include <escqrs/projections/projection.hpp>
#include <escqrs/sqlite/checkpoint.hpp>
#include <escqrs/testing/catch2.hpp>

#include "support/account.hpp"
#include "support/temporary_folder.hpp"

#include <string>

using namespace escqrs;
using account::Account;
using account::AccountOpened;
using account::MoneyDeposited;

namespace {

/// Writes a row, and only then finds out that it cannot.
struct Deposits {
    using Events = EventList<AccountOpened, MoneyDeposited>;

    explicit Deposits(sqlite::Database& in) : database{&in} {}

    void handle(const AccountOpened&, const EventContext&) {}
    void handle(const MoneyDeposited& event, const EventContext& context)
    {
        insert.run(context.stream.text(), event.cents);
        if (event.cents == refused) throw std::runtime_error{"cannot count it"};
        if (event.cents == full) throw sqlite::DatabaseError{"model.db", "write", SQLITE_FULL, "disk full"};
        if (event.cents == busy_rollback) database->execute("INSERT OR ROLLBACK INTO model VALUES (NULL, NULL)");
    }
    void clear() { database->execute("DELETE FROM model"); }

    sqlite::Database* database;
    sqlite::Statement insert{*database, "INSERT INTO model VALUES (?, ?)"};
    std::int64_t refused = 0;
    std::int64_t full = 0;
    std::int64_t busy_rollback = 0;
};

} // namespace

TEST_CASE("parked streams are kept by projection, and in the file")
{
    const TemporaryFolder folder;
    const ParkedStream parked{
        StreamId{"account", "1"}, StreamVersion{3}, GlobalPosition{9}, StreamVersion{7}, 4, "it's broken",
        StreamVersion{5}};
    {
        sqlite::Database database{folder.file("model.db")};
        sqlite::ParkingLot lot{database, "one"};
        sqlite::ParkingLot other{database, "other"};
        CHECK(lot.is_empty());
        lot.put(parked);
        CHECK_FALSE(lot.is_empty());
        CHECK(other.is_empty());
        CHECK_FALSE(other.find(parked.stream));
        CHECK_FALSE(lot.find(StreamId{"account", "2"}));
    }
    sqlite::Database database{folder.file("model.db")};
    sqlite::ParkingLot lot{database, "one"};
    CHECK(lot.find(parked.stream) == parked);
    ParkedStream changed = parked;
    changed.events = 1;
    lot.put(changed);
    lot.put({.stream = StreamId{"account", "0"}, .events = 2});
    REQUIRE(lot.all().size() == 2);
    CHECK(lot.all()[1] == changed);
    lot.remove(parked.stream);
    CHECK_FALSE(lot.find(parked.stream));
}

TEST_CASE("what a parked event wrote before it failed is undone, and what others wrote stays")
{
    const TemporaryFolder folder;
    in_memory::EventStore store;
    sqlite::Database database{folder.file("model.db")};
    database.execute("CREATE TABLE model (stream TEXT NOT NULL, cents INTEGER NOT NULL CHECK (cents <> 77)) STRICT");
    sqlite::Checkpoint place{database, "deposits"};
    sqlite::ParkingLot lot{database, "deposits"};
    Deposits deposits{database};
    const Repository<Account, in_memory::EventStore> accounts{store};
    auto one = Account::open(Account::Id{random_uuid()}, "Ada");
    auto other = Account::open(Account::Id{random_uuid()}, "Bob");
    for (const std::int64_t cents : {1, 13, 2}) {
        one.deposit(cents);
        other.deposit(cents + 100);
        accounts.save(one);
        accounts.save(other);
    }
    Projection projection{store, place, lot, deposits};
    const auto sum = [&] { return database.query_integer("SELECT sum(cents) FROM model"); };

    SECTION("by its handler")
    {
        deposits.refused = 13;
        projection.catch_up();
        CHECK(sum() == 1 + 101 + 113 + 102);
        REQUIRE(projection.parked().size() == 1);
        deposits.refused = 2;
        CHECK_FALSE(projection.replay(projection.parked()[0].stream));
        CHECK(sum() == 1 + 13 + 101 + 113 + 102);
        deposits.refused = 0;
        CHECK(projection.replay(projection.parked()[0].stream));
        CHECK(sum() == 1 + 13 + 2 + 101 + 113 + 102);
    }
    SECTION("by a constraint")
    {
        other.deposit(77);
        other.deposit(5);
        accounts.save(other);
        projection.catch_up();
        CHECK(sum() == 1 + 13 + 2 + 101 + 113 + 102);
        REQUIRE(projection.parked().size() == 1);
        CHECK_THAT(projection.parked()[0].error, Catch::Contains("CHECK constraint failed"));
    }
    SECTION("but a full disk, or a transaction that is gone, parks nothing")
    {
        deposits.full = GENERATE(0, 13);
        deposits.busy_rollback = deposits.full == 0 ? 13 : 0;
        CHECK_THROWS_AS(projection.catch_up(), StoreError);
        CHECK(lot.is_empty());
        CHECK(sum() == 0);
        CHECK(place.load() == GlobalPosition{});
        deposits.full = deposits.busy_rollback = 0;
        projection.catch_up();
        CHECK(sum() == 1 + 13 + 2 + 101 + 113 + 102);
    }
}
