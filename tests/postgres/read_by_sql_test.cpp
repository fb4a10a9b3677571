// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <escqrs/commands/repository.hpp>
#include <escqrs/postgres/event_store.hpp>
#include <escqrs/testing/catch2.hpp>

#include "postgres/server.hpp"
#include "support/order.hpp"
#include "support/temporary_folder.hpp"

using postgres_test::Server;

// The statement of docs/serialization.md.
TEST_CASE("postgres: events that are stored as JSON are read with SQL")
{
    escqrs::postgres::EventStoreOptions options;
    options.schema = Server::shared().new_schema();
    escqrs::postgres::EventStore store{Server::shared().address(), options};
    const escqrs::Repository<order::Order, escqrs::postgres::EventStore> orders{store};
    order::Order placed{order::placed().order};
    placed.place(order::placed());
    orders.save(placed);

    escqrs::postgres::Connection connection{Server::shared().address()};
    connection.execute("SET search_path TO " + options.schema);
    escqrs::postgres::Statement statement{connection, read_file(READ_ORDERS_SQL)};
    auto rows = statement.query();
    REQUIRE(rows.next());
    CHECK(rows.integer(0) == 1);
    CHECK(rows.text(1) == "order-123e4567-e89b-12d3-a456-426614174000");
    CHECK(rows.integer(2) == 1);
    CHECK(rows.text(4) == "Zoë");
    CHECK_FALSE(rows.next());
}
