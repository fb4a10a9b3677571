// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// What projections/sql/checkpoint_test.cpp leaves to PostgreSQL alone.
#include <escqrs/postgres/checkpoint.hpp>

#include <escqrs/testing/catch2.hpp>

#include "projections/sql/deposits.hpp"

using namespace escqrs;
using read_side::Model;

TEST_CASE("a checkpoint that a program of an earlier version has moved remembers its log, and no event")
{
    Model model;
    postgres::Checkpoint one{model.database, "one", model.place.where()};
    const Bookmark mark{GlobalPosition{7}, LogId{random_uuid()}, EventId{random_uuid()}};
    one.save_bookmark(mark);
    CHECK(one.bookmark() == mark);
    model.database.execute(model.place.sql("UPDATE {s}.checkpoints SET position = 9"));
    CHECK(one.bookmark() == Bookmark{GlobalPosition{9}, mark.log});
}

TEST_CASE("tables of checkpoints from before they knew their log are upgraded")
{
    Model model;
    postgres::Checkpoint{model.database, "one", model.place.where()}.save(GlobalPosition{2});
    model.database.execute(model.place.sql(
        "ALTER TABLE {s}.checkpoints DROP COLUMN log, DROP COLUMN event, DROP COLUMN event_position, DROP COLUMN "
        "lease, "
        "DROP COLUMN handled_before; ALTER TABLE {s}.leases DROP COLUMN shards; DROP TABLE {s}.shard_workers; "
        "UPDATE {s}.schema_versions SET version = 2 WHERE part = 'read models'"));
    auto connection = model.place.connect();
    postgres::Checkpoint one{connection, "one", model.place.where()};
    CHECK(one.bookmark() == Bookmark{GlobalPosition{2}});
    in_memory::EventStore store;
    read_side::deposit(store, 3);
    Subscription{store, one}.catch_up([](const RecordedEvent&) {});
    CHECK(one.bookmark().log == store.log_id());
    in_memory::EventStore other;
    read_side::deposit(other, 9);
    CHECK_THROWS_WITH((Subscription{other, one}.catch_up([](const RecordedEvent&) {})),
                      Catch::Contains("checkpoint 'one' at position"));
}

TEST_CASE("a page whose connection is lost leaves nothing, and is applied by the next one")
{
    Model model;
    in_memory::EventStore store;
    read_side::deposit(store, 30);
    auto connection = model.place.connect();
    postgres::Checkpoint checkpoint{connection, "deposits", model.place.where()};
    read_side::Deposits deposits{connection, model.place};
    int losses = 0;
    deposits.before = [&](std::int64_t cents) {
        if (cents != 17 || ++losses > 2) return;
        postgres::Statement end{model.database, "SELECT pg_terminate_backend($1::integer)"};
        (void)end.query(PQbackendPID(connection.handle()));
    };
    Projection projection{store, checkpoint, deposits, {.page_size = 10}};
    CHECK_THROWS_AS(projection.catch_up(), postgres::ConnectionLost);
    CHECK(model.count() == 9);
    CHECK_THROWS_AS(projection.catch_up(), postgres::ConnectionLost);
    projection.catch_up();
    CHECK(model.count() == 30);
}
