// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <escqrs/projections/sql/parking_lot.hpp>

#include <escqrs/testing/catch2.hpp>

#include "projections/sql/deposits.hpp"

using namespace escqrs;
using account::Account;
using read_side::Deposits;
using read_side::Model;
using read_side::Place;

TEST_CASE("parked streams are kept by projection, in the database")
{
    const Place place;
    const ParkedStream parked{StreamId{"account", "1"}, StreamVersion{3}, GlobalPosition{9}, StreamVersion{7}, 4,
                              "it's broken: \xC3\xA9",  StreamVersion{5}};
    {
        auto database = place.connect();
        read_side::ParkingLot lot{database, "one", place.where()};
        read_side::ParkingLot other{database, "other", place.where()};
        CHECK(lot.is_empty());
        lot.put(parked);
        CHECK_FALSE(lot.is_empty());
        CHECK(other.is_empty());
        CHECK_FALSE(other.find(parked.stream));
        CHECK_FALSE(lot.find(StreamId{"account", "2"}));
    }
    auto database = place.connect();
    read_side::ParkingLot lot{database, "one", place.where()};
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
    Model model;
    in_memory::EventStore store;
    read_side::Checkpoint checkpoint{model.database, "deposits", model.place.where()};
    read_side::ParkingLot lot{model.database, "deposits", model.place.where()};
    Deposits deposits{model.database, model.place};
    const Repository<Account, in_memory::EventStore> accounts{store};
    auto one = Account::open(Account::Id{random_uuid()}, "Ada");
    auto other = Account::open(Account::Id{random_uuid()}, "Bob");
    for (const std::int64_t cents : {1, 13, 2}) {
        one.deposit(cents);
        other.deposit(cents + 100);
        accounts.save(one);
        accounts.save(other);
    }
    Projection projection{store, checkpoint, lot, deposits};

    SECTION("by its handler")
    {
        deposits.refused = 13;
        projection.catch_up();
        CHECK(model.sum() == 1 + 101 + 113 + 102);
        REQUIRE(projection.parked().size() == 1);
        deposits.refused = 2;
        CHECK_FALSE(projection.replay(projection.parked()[0].stream));
        CHECK(model.sum() == 1 + 13 + 101 + 113 + 102);
        deposits.refused = 0;
        CHECK(projection.replay(projection.parked()[0].stream));
        CHECK(model.sum() == 1 + 13 + 2 + 101 + 113 + 102);
    }
    SECTION("by a constraint")
    {
        other.deposit(777);
        other.deposit(5);
        accounts.save(other);
        projection.catch_up();
        CHECK(model.sum() == 1 + 13 + 2 + 101 + 113 + 102);
        REQUIRE(projection.parked().size() == 1);
        CHECK_THAT(projection.parked()[0].error, Catch::Contains(read_side::constraint_text));
    }
    SECTION("but a full disk, or a transaction that is gone, parks nothing")
    {
        deposits.full = GENERATE(0, 13);
        deposits.before = [&](std::int64_t cents) {
            if (cents != 13 || deposits.full == 13) return;
            model.database.execute("ROLLBACK");
            throw std::runtime_error{"gone"};
        };
        CHECK_THROWS(projection.catch_up());
        CHECK(lot.is_empty());
        CHECK(model.sum() == 0);
        CHECK(checkpoint.load() == GlobalPosition{});
        deposits.full = 0;
        deposits.before = {};
        projection.catch_up();
        CHECK(model.sum() == 1 + 13 + 2 + 101 + 113 + 102);
    }
}
