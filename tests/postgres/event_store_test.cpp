// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <escqrs/postgres/event_store.hpp>

#include <escqrs/testing/event_store_conformance.hpp>

#include "postgres/server.hpp"

#include <memory>
#include <string>

namespace {

namespace postgres = escqrs::postgres;
using postgres_test::Server;

struct Fixture {
    static constexpr bool is_durable = true;

    Fixture() { options.schema = Server::shared().new_schema(); }

    std::unique_ptr<postgres::EventStore> open(escqrs::Clock& clock)
    {
        options.clock = &clock;
        return std::make_unique<postgres::EventStore>(address, options);
    }

    std::string address = Server::shared().address();
    postgres::EventStoreOptions options;
};

} // namespace

TEST_CASE("a PostgreSQL schema is an event store")
{
    Fixture fixture;
    escqrs::testing::event_store_conformance(fixture);
}

TEST_CASE("a PostgreSQL schema with one reader and no prepared statement or notification is an event store")
{
    Fixture fixture;
    fixture.options.max_readers = 1;
    fixture.options.notifies = false;
    fixture.options.connection.prepares_statements = false;
    escqrs::testing::event_store_conformance(fixture);
}

TEST_CASE("a PostgreSQL schema with a partitioned log is an event store")
{
    Fixture fixture;
    fixture.options.partition_size = 10'000;
    escqrs::testing::event_store_conformance(fixture);
}

TEST_CASE("a PostgreSQL schema from before logs had an id gets one, which all roles can read")
{
    Fixture fixture;
    const auto open = [&] { return postgres::EventStore{fixture.address, fixture.options}.log_id(); };
    (void)open();
    postgres::Connection owner{fixture.address};
    owner.execute(postgres::with_schema("DROP TABLE {s}.log; UPDATE {s}.schema_versions SET version = 1",
                                        fixture.options.schema));
    const escqrs::LogId id = open();
    CHECK(open() == id);
    owner.execute("DROP ROLE IF EXISTS reader; CREATE ROLE reader");
    owner.execute(
        postgres::with_schema("GRANT USAGE ON SCHEMA {s} TO reader; SET ROLE reader", fixture.options.schema));
    postgres::Statement select{owner, postgres::with_schema("SELECT id FROM {s}.log", fixture.options.schema)};
    auto rows = select.query();
    REQUIRE(rows.next());
    CHECK(escqrs::LogId{rows.uuid(0)} == id);
    owner.execute("RESET ROLE");
    owner.execute(
        postgres::with_schema("REVOKE ALL ON SCHEMA {s} FROM reader; DROP ROLE reader", fixture.options.schema));
}
