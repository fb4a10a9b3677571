// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "support/order.hpp"
#include "support/temporary_folder.hpp"

#include <escqrs/commands/repository.hpp>
#include <escqrs/sqlite/event_store.hpp>
#include <escqrs/testing/catch2.hpp>
#include <escqrs/testing/manual_clock.hpp>

// The statement of docs/serialization.md.
TEST_CASE("sqlite: events that are stored as JSON are read with SQL")
{
    const TemporaryFolder folder;
    escqrs::testing::ManualClock clock{escqrs::Timestamp{std::chrono::milliseconds{1795428000123}}};
    escqrs::sqlite::EventStoreOptions options;
    options.clock = &clock;
    escqrs::sqlite::EventStore store{folder.file("events.db"), options};
    const escqrs::Repository<order::Order, escqrs::sqlite::EventStore> orders{store};
    order::Order placed{order::placed().order};
    placed.place(order::placed());
    orders.save(placed);

    escqrs::sqlite::Database database{folder.file("events.db")};
    escqrs::sqlite::Statement statement{database, read_file(READ_ORDERS_SQL)};
    auto rows = statement.query();
    REQUIRE(rows.next());
    CHECK(rows.integer(0) == 1);
    CHECK(rows.text(1) == "order-123e4567-e89b-12d3-a456-426614174000");
    CHECK(rows.integer(2) == 1);
    CHECK(rows.text(3) == "2026-11-23T10:00:00.123Z");
    CHECK(rows.text(4) == "Zoë");
    CHECK_FALSE(rows.next());
}
