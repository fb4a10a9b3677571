// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// What projections/sql/read_model_test.cpp leaves to PostgreSQL alone.
#include <escqrs/postgres/read_model.hpp>

#include <escqrs/testing/catch2.hpp>

#include "projections/sql/balances.hpp"

#include <chrono>
#include <string>
#include <vector>

using namespace escqrs;
using account::Account;
using postgres_test::Server;
using read_side::balances_schema;
using read_side::Builder;
using read_side::deposit;
using read_side::Place;
using read_side::Reader;
using read_side::Store;

TEST_CASE("who could read the old version can read the new one, and nobody else")
{
    const Place place;
    Store store;
    std::vector<std::int64_t> mails;
    auto account = Account::open(Account::Id{random_uuid()}, "Ada");
    deposit(store, account, 1);
    Builder one{store, place, 1, mails};
    one.projection.catch_up();
    const std::string role = "reader of " + place.where();
    const auto run = [&](const std::string& sql) { one.database.execute(place.sql(sql)); };
    run("CREATE ROLE \"" + role + "\" LOGIN; GRANT USAGE ON SCHEMA {s} TO \"" + role +
        "\"; GRANT SELECT ON {s}.balance TO \"" + role + "\"");
    Reader reader{place};
    reader.database.execute("SET ROLE \"" + role + '"');
    postgres::Statement prepared{reader.database, place.sql("SELECT cents FROM {s}.balance")};
    const auto shown = [&] {
        auto rows = prepared.query();
        return rows.next() ? rows.integer(0) : -1;
    };
    for (int times = 0; times < 3; ++times) CHECK(shown() == 1);
    Builder two{store, place, 2, mails};
    two.projection.catch_up();
    REQUIRE(two.model.is_live());
    CHECK(shown() == 2);
    CHECK_THROWS_AS(reader.number("SELECT count(*) FROM {s}.account"), StoreError);
    CHECK_THROWS_AS(reader.number("SELECT count(*) FROM {s}.balance_v2"), StoreError);
}

TEST_CASE("only the holder of the lease builds a version")
{
    const std::string place = Server::shared().new_schema();
    postgres::Connection connection{Server::shared().address()};
    postgres::Lease lease{connection, "balances", {std::chrono::seconds{60}, "one", place}};
    postgres::ReadModel model{connection, balances_schema(1), lease};
    CHECK_THROWS_AS(model.begin().commit(GlobalPosition{1}), postgres::LeaseLost);
    REQUIRE(lease.acquire());
    model.begin().commit(GlobalPosition{2});
    CHECK(model.load() == GlobalPosition{2});
}
