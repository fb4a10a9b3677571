// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <escqrs/postgres/parking_lot.hpp>

#include <escqrs/commands/repository.hpp>
#include <escqrs/in_memory/event_store.hpp>
#include <escqrs/postgres/checkpoint.hpp>
#include <escqrs/projections/projection.hpp>
#include <escqrs/testing/catch2.hpp>

#include "postgres/server.hpp"
#include "support/account.hpp"

#include <stdexcept>
#include <string>

namespace {

using namespace escqrs;
using account::Account;
using account::AccountOpened;
using account::MoneyDeposited;
using postgres_test::Server;

/// Writes a row, and only then finds out that it cannot.
struct Deposits {
    using Events = EventList<AccountOpened, MoneyDeposited>;

    Deposits(postgres::Connection& connection, const std::string& schema)
        : insert{connection, postgres::with_schema("INSERT INTO {s}.deposits VALUES ($1)", schema)}
    {
    }
    void handle(const AccountOpened&, const EventContext&) {}
    void handle(const MoneyDeposited& event, const EventContext&)
    {
        insert.run(event.cents);
        if (event.cents == refused) throw std::runtime_error{"cannot count it"};
        if (event.cents == full) throw postgres::DatabaseError{"model", "write", "disk full", "53100"};
    }
    void clear() {}

    postgres::Statement insert;
    std::int64_t refused = 0;
    std::int64_t full = 0;
};

} // namespace

TEST_CASE("parked streams are kept by projection, with errors of any bytes")
{
    postgres::Connection connection{Server::shared().address()};
    const std::string schema = Server::shared().new_schema();
    ParkedStream parked{StreamId{"account", "1"}, StreamVersion{3}, GlobalPosition{9}, StreamVersion{7}, 4,
                        "it's broken: \xC3\xA9",  StreamVersion{5}};
    postgres::ParkingLot lot{connection, "one", schema};
    postgres::ParkingLot other{connection, "other", schema};
    CHECK(lot.is_empty());
    lot.put(parked);
    CHECK_FALSE(lot.is_empty());
    CHECK(other.is_empty());
    CHECK_FALSE(other.find(parked.stream));
    CHECK(lot.find(parked.stream) == parked);
    parked.error = std::string{"torn \xFF and \0 NUL", 14};
    lot.put(parked);
    REQUIRE(lot.find(parked.stream));
    CHECK(lot.find(parked.stream)->error == "torn ? and ? N");
    lot.put({.stream = StreamId{"account", "0"}, .events = 2});
    REQUIRE(lot.all().size() == 2);
    CHECK(lot.all()[1].stream == parked.stream);
    lot.remove(parked.stream);
    CHECK_FALSE(lot.find(parked.stream));
}

TEST_CASE("what a parked event wrote before it failed is undone, and what others wrote stays")
{
    postgres::Connection connection{Server::shared().address()};
    const std::string schema = Server::shared().new_schema();
    connection.execute(postgres::with_schema(
        "CREATE SCHEMA {s}; CREATE TABLE {s}.deposits (cents bigint CHECK (cents <> 77))", schema));
    in_memory::EventStore store;
    postgres::Checkpoint place{connection, "deposits", schema};
    postgres::ParkingLot lot{connection, "deposits", schema};
    Deposits deposits{connection, schema};
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
    postgres::Statement select{connection,
                               postgres::with_schema("SELECT sum(cents)::bigint FROM {s}.deposits", schema)};
    const auto sum = [&] {
        auto rows = select.query();
        return rows.next() ? rows.integer(0) : -1;
    };

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
        CHECK_THAT(projection.parked()[0].error, Catch::Contains("check constraint"));
    }
    SECTION("but a full disk parks nothing")
    {
        deposits.full = 13;
        CHECK_THROWS_AS(projection.catch_up(), StoreError);
        CHECK(lot.is_empty());
        CHECK(sum() == 0);
        deposits.full = 0;
        projection.catch_up();
        CHECK(sum() == 1 + 13 + 2 + 101 + 113 + 102);
    }
}
