// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <escqrs/projections/sql/any_database.hpp>

#include <escqrs/postgres/checkpoint.hpp>
#include <escqrs/sqlite/checkpoint.hpp>
#include <escqrs/testing/catch2.hpp>

#include "postgres/server.hpp"
#include "support/temporary_folder.hpp"

#include <string>

using escqrs::Advance;
using escqrs::StreamId;
using escqrs::StreamVersion;

namespace {

using AnyDatabase = escqrs::sql::AnyDatabase<escqrs::sqlite::Dialect, escqrs::postgres::Dialect>;
static_assert(escqrs::sql::Database<AnyDatabase, AnyDatabase::Statement, AnyDatabase::Rows, AnyDatabase::Transaction,
                                    AnyDatabase::Savepoint>);

} // namespace

TEST_CASE("which database a program writes to is chosen while it runs")
{
    const TemporaryFolder folder;
    escqrs::sqlite::Database file{folder.file("model.db")};
    escqrs::postgres::Connection connection{postgres_test::Server::shared().address()};
    const std::string schema = postgres_test::Server::shared().new_schema();
    connection.execute("CREATE SCHEMA " + schema + "; SET search_path = " + schema);
    const AnyDatabase database =
        GENERATE(true, false) ? AnyDatabase{file} : AnyDatabase{escqrs::postgres::Dialect{connection, schema}};

    database.execute("CREATE TABLE model (name text, cents bigint)");
    AnyDatabase::Statement insert{database, "INSERT INTO model VALUES ($1, $2)"};
    AnyDatabase::StreamCheckpoint checkpoint{database, "model"};
    const StreamId stream{"account", "1"};
    {
        AnyDatabase::Transaction transaction{database};
        CHECK(database.in_transaction());
        CHECK(insert.run("Ada", 5) == 1);
        {
            const AnyDatabase::Savepoint part{database};
            insert.run("Bob", 6);
            CHECK(checkpoint.advance(stream, StreamVersion{1}) == Advance::apply);
        }
        {
            AnyDatabase::Savepoint part{database};
            insert.run(nullptr, 7);
            CHECK(checkpoint.advance(stream, StreamVersion{1}) == Advance::apply);
            part.commit();
        }
        transaction.commit();
    }
    {
        const AnyDatabase::Transaction transaction{database};
        insert.run("Eve", 8);
        CHECK(checkpoint.advance(stream, StreamVersion{2}) == Advance::apply);
    }
    CHECK_FALSE(database.in_transaction());
    CHECK(checkpoint.version_of(stream) == StreamVersion{1});
    CHECK(database.query_integer("SELECT count(*) FROM model") == 2);
    AnyDatabase::Statement select{database, "SELECT name, cents FROM model ORDER BY cents"};
    auto rows = select.query();
    REQUIRE(rows.next());
    CHECK(rows.text(0) == "Ada");
    CHECK(rows.integer(1) == 5);
    REQUIRE(rows.next());
    CHECK(rows.is_null(0));
    CHECK_FALSE(rows.next());
    checkpoint.clear();
    CHECK(checkpoint.version_of(stream) == StreamVersion{});
}
