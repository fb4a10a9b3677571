// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// Schemas that the library made when each was at its first version: today's opens and upgrades them.
#include <escqrs/postgres/checkpoint.hpp>
#include <escqrs/postgres/event_store.hpp>
#include <escqrs/postgres/parking_lot.hpp>
#include <escqrs/testing/catch2.hpp>
#include <escqrs/testing/detail/sample_events.hpp>

#include "postgres/server.hpp"

#include <fstream>
#include <sstream>
#include <string>

using namespace escqrs;
using namespace escqrs::testing::detail;
using postgres_test::Server;

namespace {

struct OldSchema {
    explicit OldSchema(const std::string& form)
    {
        std::stringstream sql;
        sql << std::ifstream{std::string{ESCQRS_POSTGRES_FORMS} + '/' + form}.rdbuf();
        connection.execute(postgres::with_schema(sql.str(), name));
    }

    std::int64_t version()
    {
        postgres::Statement select{connection,
                                   postgres::with_schema("SELECT max(version) FROM {s}.schema_versions", name)};
        auto rows = select.query();
        return rows.next() ? rows.integer(0) : -1;
    }

    std::string name = Server::shared().new_schema();
    postgres::Connection connection{Server::shared().address()};
};

} // namespace

TEST_CASE("a PostgreSQL event store of the first schema is upgraded, and keeps what it holds")
{
    OldSchema old{GENERATE("event_store_1.sql", "event_store_partitioned_1.sql")};
    CHECK(old.version() == 1);
    postgres::EventStoreOptions options;
    options.schema = old.name;
    postgres::EventStore store{Server::shared().address(), options};
    CHECK(old.version() == 3);
    CHECK_FALSE(store.log_id().is_nil());
    const auto events = read_stream(store, sample_stream("one"));
    REQUIRE(events.size() == 2);
    CHECK(events[1].content.id == EventId::parse("22222222-2222-4222-8222-222222222222"));
    CHECK(events[1].content.schema_version == 2);
    CHECK(events[1].content.payload == bytes(std::string{"p\0\xFF", 3}));
    append_some(store, sample_stream("one"), 1);
    append_some(store, sample_stream("three"), 3);
    CHECK(read_log(store).size() == 7);
}

TEST_CASE("checkpoints and parked streams of the first PostgreSQL schema go on where they were")
{
    OldSchema old{"read_models_1.sql"};
    CHECK(old.version() == 1);
    postgres::Checkpoint orders{old.connection, "orders", old.name};
    CHECK(old.version() == 5);
    CHECK(orders.bookmark() == Bookmark{GlobalPosition{4}});
    CHECK(orders.begin().replay_until() == GlobalPosition{9});
    postgres::StreamCheckpoint streams{old.connection, "orders", old.name};
    CHECK(streams.version_of(StreamId{"account", "1"}) == StreamVersion{2});
    postgres::ParkingLot lot{old.connection, "orders", old.name};
    const auto parked = lot.find(StreamId{"account", "1"});
    REQUIRE(parked);
    CHECK(parked->error == "cannot count it");
    postgres::Lease lease{old.connection, "orders", {std::chrono::seconds{60}, "new holder", old.name}};
    REQUIRE(lease.acquire());
    CHECK(lease.token() == 2);
}
