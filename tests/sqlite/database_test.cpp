// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <escqrs/core/stop_token.hpp>
#include <escqrs/sqlite/database.hpp>

#include <escqrs/testing/catch2.hpp>

#include "support/temporary_folder.hpp"

#include <atomic>
#include <fstream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

using escqrs::StoreError;
using namespace escqrs::sqlite;
using Bytes = std::span<const std::byte>;

constexpr Schema schema{"test file", 0x7E57, 2, "CREATE TABLE t (a INTEGER PRIMARY KEY, b)"};

} // namespace

TEST_CASE("values come back as they were bound")
{
    Database database{":memory:"};
    database.execute("CREATE TABLE t (a, b, c, d, e, f, g)");
    Statement insert{database, "INSERT INTO t VALUES (?, ?, ?, ?, ?, ?, ?)"};
    const std::string text{"a\0b\xC3\xA4", 5};
    const auto bytes = std::as_bytes(std::span{text});
    const escqrs::Timestamp time{escqrs::Duration{-1}};
    CHECK(insert.run(std::int64_t{-5}, text, bytes, 1.5, nullptr, time, true) == 1);
    CHECK(insert.run(std::numeric_limits<std::int64_t>::max(), "", Bytes{}, 0.0, nullptr, time, false) == 1);

    Statement select{database, "SELECT *, typeof(b), typeof(c) FROM t ORDER BY rowid"};
    auto rows = select.query();
    REQUIRE(rows.next());
    CHECK(rows.integer(0) == -5);
    CHECK(rows.text(1) == text);
    CHECK(std::ranges::equal(rows.blob(2), bytes));
    CHECK(rows.real(3) == 1.5);
    CHECK(rows.is_null(4));
    CHECK(rows.time(5) == time);
    CHECK(rows.integer(6) == 1);
    REQUIRE(rows.next());
    CHECK(rows.integer(0) == std::numeric_limits<std::int64_t>::max());
    CHECK(rows.text(1).empty());
    CHECK(rows.blob(2).empty());
    CHECK(rows.text(7) == "text"); // empty is not NULL
    CHECK(rows.text(8) == "blob");
    CHECK_FALSE(rows.next());
}

TEST_CASE("a statement is free again when its rows end, also after an error")
{
    Database database{":memory:"};
    database.execute("CREATE TABLE t (a UNIQUE); INSERT INTO t VALUES (1), (2)");
    Statement select{database, "SELECT a FROM t ORDER BY a"};
    for (int round = 0; round < 3; ++round) {
        auto rows = select.query();
        REQUIRE(rows.next());
        CHECK(rows.integer(0) == 1);
    }
    Statement insert{database, "INSERT INTO t VALUES (?)"};
    CHECK_THROWS_AS(insert.run(1), DatabaseError);
    CHECK(insert.run(3) == 1);
    database.execute("DROP TABLE t"); // nothing still reads it
}

TEST_CASE("an error names the file, the statement and SQLite's code and message")
{
    const TemporaryFolder folder;
    Database database{folder.file("x.db")};
    database.execute("CREATE TABLE t (a UNIQUE); INSERT INTO t VALUES (1)");
    try {
        database.execute("INSERT INTO t VALUES (1)");
        FAIL("expected an error");
    } catch (const DatabaseError& error) {
        CHECK(error.code() == SQLITE_CONSTRAINT_UNIQUE);
        CHECK_THAT(error.what(), Catch::Contains(folder.file("x.db")) && Catch::Contains("INSERT INTO t VALUES (1)") &&
                                     Catch::Contains("UNIQUE constraint failed: t.a"));
    }
    CHECK_THROWS_WITH((Statement{database, "SELECT nonsense"}), Catch::Contains("no such column"));
}

TEST_CASE("the settings that the promises rest on are in force")
{
    const TemporaryFolder folder;
    Database full{folder.file("x.db")};
    CHECK(full.query_integer("PRAGMA synchronous") == 2);
    CHECK(full.query_integer("PRAGMA foreign_keys") == 1);
    Statement mode{full, "PRAGMA journal_mode"};
    auto rows = mode.query();
    REQUIRE(rows.next());
    CHECK(rows.text(0) == "wal");
    Database normal{folder.file("x.db"), {.synchronous = Synchronous::normal}};
    CHECK(normal.query_integer("PRAGMA synchronous") == 1);
}

TEST_CASE("a transaction or savepoint that is not committed is undone")
{
    const TemporaryFolder folder;
    Database database{folder.file("x.db")};
    database.execute("CREATE TABLE t (a)");
    const auto count = [&] { return database.query_integer("SELECT count(*) FROM t"); };
    {
        const Transaction transaction{database};
        database.execute("INSERT INTO t VALUES (1)");
    }
    CHECK(count() == 0);
    CHECK(database.rollbacks() == 1);
    {
        Transaction transaction{database};
        database.execute("INSERT INTO t VALUES (1)");
        {
            const Savepoint part{database};
            database.execute("INSERT INTO t VALUES (2)");
        }
        CHECK(count() == 1);
        {
            Savepoint part{database};
            database.execute("INSERT INTO t VALUES (3)");
            part.commit();
        }
        transaction.commit();
    }
    CHECK(count() == 2);
    CHECK(database.rollbacks() == 2);
    CHECK(database.transactions() == 2);
    CHECK_FALSE(database.in_transaction());
}

TEST_CASE("a writer waits for another one, for as long as it was told")
{
    const TemporaryFolder folder;
    Database first{folder.file("x.db")};
    first.execute("CREATE TABLE t (a)");
    Database patient{folder.file("x.db")};
    Database hasty{folder.file("x.db"), {.busy_timeout = std::chrono::milliseconds{10}}};
    escqrs::jthread waiting;
    {
        Transaction transaction{first};
        first.execute("INSERT INTO t VALUES (1)");
        try {
            const Transaction refused{hasty};
            FAIL("expected an error");
        } catch (const DatabaseError& error) {
            CHECK((error.code() & 0xFF) == SQLITE_BUSY);
        }
        waiting = escqrs::jthread{[&] { patient.execute("INSERT INTO t VALUES (2)"); }};
        std::this_thread::sleep_for(std::chrono::milliseconds{30});
        transaction.commit();
    }
    waiting.join();
    CHECK(first.query_integer("SELECT count(*) FROM t") == 2);
}

TEST_CASE("a file has to be of the schema that is asked for")
{
    const TemporaryFolder folder;
    const std::string path = folder.file("x.db");

    SECTION("a new one is created, and opened again")
    {
        Database{path, schema}.execute("INSERT INTO t VALUES (1, 2)");
        Database again{path, schema};
        CHECK(again.query_integer("SELECT b FROM t") == 2);
        CHECK(again.query_integer("PRAGMA application_id") == 0x7E57);
        CHECK(again.query_integer("PRAGMA user_version") == 2);
    }

    const auto is_refused = [&](const char* because) {
        const auto before = read_file(path);
        const auto log_before = read_file(path + "-wal");
        CHECK_THROWS_AS((Database{path, schema}), StoreError);
        CHECK_THROWS_WITH((Database{path, schema}), Catch::Contains(path) && Catch::Contains(because));
        CHECK((read_file(path) == before));
        CHECK((read_file(path + "-wal") == log_before));
    };

    SECTION("another version")
    {
        {
            const Database create{path, schema};
        }
        Database{path}.execute("PRAGMA user_version = 3");
        is_refused("expected version 2, found 3; a newer program wrote it");
        Database{path}.execute("PRAGMA user_version = 1");
        is_refused("expected version 2, found 1");
    }

    SECTION("another program's file, in another journal mode")
    {
        sqlite3* other = nullptr;
        REQUIRE(sqlite3_open(path.c_str(), &other) == SQLITE_OK);
        REQUIRE(sqlite3_exec(other, "CREATE TABLE other (a)", nullptr, nullptr, nullptr) == SQLITE_OK);
        sqlite3_close(other);
        is_refused("not an escqrs test file: expected application id 32343, found 0");
    }

    SECTION("another program's file, whose log has not been moved into it")
    {
        sqlite3* other = nullptr;
        REQUIRE(sqlite3_open(path.c_str(), &other) == SQLITE_OK);
        REQUIRE(sqlite3_db_config(other, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr) == SQLITE_OK);
        REQUIRE(sqlite3_exec(other, "PRAGMA journal_mode = WAL; CREATE TABLE other (a)", nullptr, nullptr, nullptr) ==
                SQLITE_OK);
        sqlite3_close(other);
        REQUIRE_FALSE(read_file(path + "-wal").empty());
        is_refused("not an escqrs test file");
    }

    SECTION("something that is no database")
    {
        std::ofstream{path} << std::string(5000, 'x');
        is_refused("file is not a database");
    }
}

TEST_CASE("an older file is upgraded step by step, or not at all")
{
    const TemporaryFolder folder;
    const std::string path = folder.file("x.db");
    {
        Database first{path, Schema{"test file", 0x7E57, 2, "CREATE TABLE t (a INTEGER PRIMARY KEY, b)"}};
        first.execute("INSERT INTO t VALUES (1, 2)");
    }
    const char* const good[] = {"ALTER TABLE t ADD COLUMN c", "UPDATE t SET c = b + 1"};      // NOLINT
    const char* const bad[] = {"ALTER TABLE t ADD COLUMN c", "UPDATE nothing SET c = b + 1"}; // NOLINT
    const Schema fourth{"test file", 0x7E57, 4, schema.sql, good};

    SECTION("from any version that there is an upgrade from")
    {
        CHECK(Database{path, fourth}.query_integer("SELECT c FROM t") == 3);
        Database again{path, fourth};
        CHECK(again.query_integer("SELECT c FROM t") == 3);
        CHECK(again.query_integer("PRAGMA user_version") == 4);
        CHECK_THROWS_WITH((Database{path, schema}), Catch::Contains("expected version 2, found 4; a newer program"));
    }
    SECTION("a new file is made by the same steps")
    {
        Database fresh{folder.file("fresh.db"), fourth};
        fresh.execute("INSERT INTO t VALUES (1, 2, 3)");
        CHECK(fresh.query_integer("PRAGMA user_version") == 4);
    }
    SECTION("a step that fails leaves the file as it was")
    {
        CHECK_THROWS_AS((Database{path, Schema{"test file", 0x7E57, 4, schema.sql, bad}}), StoreError);
        CHECK(Database{path, schema}.query_integer("SELECT b FROM t") == 2);
        CHECK(Database{path}.query_integer("SELECT count(*) FROM pragma_table_info('t')") == 2);
    }
    SECTION("older than any upgrade")
    {
        Database{path}.execute("PRAGMA user_version = 1");
        CHECK_THROWS_WITH((Database{path, fourth}), Catch::Contains("expected version 4, found 1"));
    }
    SECTION("by many at once")
    {
        std::vector<escqrs::jthread> threads;
        std::atomic<int> upgraded{0};
        for (int thread = 0; thread < 8; ++thread) {
            threads.emplace_back([&] {
                if (Database{path, fourth}.query_integer("SELECT c FROM t") == 3) ++upgraded;
            });
        }
        threads.clear();
        CHECK(upgraded == 8);
    }
}

TEST_CASE("many connections create one file at once")
{
    const TemporaryFolder folder;
    for (int round = 0; round < 10; ++round) {
        std::atomic<int> opened{0};
        {
            std::vector<escqrs::jthread> threads;
            for (int thread = 0; thread < 8; ++thread) {
                threads.emplace_back([&] {
                    Database database{folder.file(std::to_string(round)), schema};
                    database.execute("INSERT INTO t VALUES (NULL, 1)");
                    ++opened;
                });
            }
        }
        CHECK(opened == 8);
        CHECK(Database{folder.file(std::to_string(round)), schema}.query_integer("SELECT count(*) FROM t") == 8);
    }
}
