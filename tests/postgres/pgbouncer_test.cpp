// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <escqrs/postgres/checkpoint.hpp>
#include <escqrs/postgres/event_store.hpp>

#include <escqrs/testing/event_store_conformance.hpp>

#include "postgres/server.hpp"

#include <memory>
#include <string>

namespace {

namespace postgres = escqrs::postgres;
using postgres_test::Bouncer;
using postgres_test::Server;

struct Fixture {
    static constexpr bool is_durable = true;

    Fixture()
    {
        options.schema = Server::shared().new_schema();
        options.connection.prepares_statements = false;
    }
    std::unique_ptr<postgres::EventStore> open(escqrs::Clock& clock)
    {
        options.clock = &clock;
        return std::make_unique<postgres::EventStore>(bouncer.address(), options);
    }

    Bouncer bouncer;
    postgres::EventStoreOptions options;
};

} // namespace

TEST_CASE("a PostgreSQL schema behind a PgBouncer that pools transactions is an event store")
{
    Fixture fixture;
    escqrs::testing::event_store_conformance(fixture);
}

TEST_CASE("a checkpoint behind a PgBouncer changes with the read model or not at all")
{
    const Bouncer bouncer;
    postgres::Connection connection{bouncer.address(), {.prepares_statements = false}};
    const std::string schema = Server::shared().new_schema();
    postgres::Checkpoint checkpoint{connection, "model", schema};
    checkpoint.save(escqrs::GlobalPosition{1});
    {
        auto transaction = checkpoint.begin();
        CHECK(transaction.position() == escqrs::GlobalPosition{1});
    }
    checkpoint.begin().commit(escqrs::GlobalPosition{2});
    CHECK(checkpoint.load() == escqrs::GlobalPosition{2});
}
