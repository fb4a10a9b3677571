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
