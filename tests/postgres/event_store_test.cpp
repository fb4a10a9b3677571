// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <escqrs/postgres/event_store.hpp>
#include <escqrs/postgres/lease.hpp>

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

TEST_CASE("a PostgreSQL schema with a partitioned log is an event store, for a role with its own settings")
{
    Fixture fixture;
    fixture.options.partition_size = 10'000;
    const std::string role = fixture.options.schema + "_odd";
    postgres::Connection owner{fixture.address};
    owner.execute("CREATE ROLE " + role + " LOGIN SUPERUSER");
    for (const char* const setting :
         {"client_encoding = 'latin1'", "default_transaction_isolation = 'serializable'", "lock_timeout = '1ms'",
          "statement_timeout = '2s'", "idle_in_transaction_session_timeout = '1ms'", "search_path = 'public'",
          "standard_conforming_strings = 'off'", "backslash_quote = 'off'", "bytea_output = 'escape'",
          "DateStyle = 'German'", "TimeZone = 'Asia/Kathmandu'", "array_nulls = 'off'", "transform_null_equals = 'on'",
          "extra_float_digits = -15", "quote_all_identifiers = 'on'"}) {
        owner.execute("ALTER ROLE " + role + " SET " + setting);
    }
    fixture.address = Server::shared().address(role);
    escqrs::testing::event_store_conformance(fixture);
}

TEST_CASE(
    "a PostgreSQL event store refuses options that it cannot work with, by name, and has as many readers as it may")
{
    Fixture fixture;
    const auto option_of = [&](auto change) {
        auto options = fixture.options;
        change(options);
        try {
            return std::to_string(postgres::EventStore{fixture.address, options}.head().value());
        } catch (const escqrs::InvalidOption& error) {
            return error.option();
        }
    };
    using Options = postgres::EventStoreOptions;
    CHECK(option_of([](Options& options) { options.max_readers = 0; }) == "max_readers");
    CHECK(option_of([](Options& options) { options.max_writers = 0; }) == "max_writers");
    CHECK(option_of([](Options& options) { options.max_group_size = 0; }) == "max_group_size");
    CHECK(option_of([](Options& options) { options.poll_interval = {}; }) == "poll_interval");
    CHECK(option_of([](Options& options) { options.reconnect_timeout = escqrs::Duration{-1}; }) == "reconnect_timeout");
    CHECK(option_of([](Options& options) { options.head_timeout = escqrs::Duration{-1}; }) == "head_timeout");
    CHECK(option_of([](Options& options) { options.clock = nullptr; }) == "clock");
    CHECK(option_of([](Options& options) { options.max_readers = options.max_writers = ~std::size_t{0}; }) == "0");
    CHECK(option_of([](Options& options) {
              options.head_timeout = options.reconnect_timeout = escqrs::Duration::max();
          }) == "0");
    postgres::Connection connection{fixture.address};
    CHECK_THROWS_WITH((postgres::Lease{connection, "work", {.duration = {}, .schema = fixture.options.schema}}),
                      Catch::Contains("option duration: expected at least 1000 us, found 0 us"));
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
