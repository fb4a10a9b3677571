// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <escqrs/postgres/connection_pool.hpp>
#include <escqrs/postgres/schema.hpp>
#include <escqrs/postgres/statement.hpp>

#include <escqrs/testing/catch2.hpp>

#include "postgres/server.hpp"

#include <atomic>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace escqrs::postgres;
using escqrs::StoreError;
using postgres_test::Server;

std::int64_t number(Connection& connection, const std::string& sql)
{
    Statement statement{connection, sql};
    auto rows = statement.query();
    return rows.next() ? rows.integer(0) : -1;
}

void end_backend(Connection& of)
{
    Connection other{Server::shared().address()};
    Statement end{other, "SELECT pg_terminate_backend($1::integer)"};
    (void)end.query(PQbackendPID(of.handle()));
}

} // namespace

TEST_CASE("values go to the server and come back as they were")
{
    Connection connection{Server::shared().address()};
    Statement statement{connection, "SELECT $1::bigint, $2::text, $3::bytea, $4::timestamptz, $5::uuid, $6::float8, "
                                    "$7::boolean, $8::text, $1::integer"};
    const auto id = escqrs::random_uuid();
    const std::vector<std::byte> blob{std::byte{0}, std::byte{0xFF}};
    const escqrs::Timestamp time{escqrs::Duration{1'234'567'890'123'456}};
    auto rows =
        statement.query(-5, "text with ' and \\", std::span<const std::byte>{blob}, time, id, 0.5, true, nullptr);
    REQUIRE(rows.next());
    CHECK(rows.integer(0) == -5);
    CHECK(rows.text(1) == "text with ' and \\");
    CHECK(std::vector<std::byte>{rows.blob(2).begin(), rows.blob(2).end()} == blob);
    CHECK(rows.time(3) == time);
    CHECK(rows.uuid(4) == id);
    CHECK(rows.real(5) == 0.5);
    CHECK(rows.integer(6) == 1);
    CHECK(rows.is_null(7));
    CHECK(rows.integer(8) == -5);
    CHECK_THROWS_AS(rows.integer(1), StoreError);
    CHECK_THROWS_AS(rows.time(0), StoreError);
    CHECK_FALSE(rows.next());
}

TEST_CASE("one statement takes values of different types one after the other, and NULL between them")
{
    Connection connection{Server::shared().address()};
    connection.execute("CREATE TEMPORARY TABLE t (n integer)");
    Statement insert{connection, "INSERT INTO t VALUES ($1)"};
    CHECK(insert.run(nullptr) == 1);
    CHECK(insert.run(7) == 1);
    CHECK(insert.run(nullptr) == 1);
    CHECK(number(connection, "SELECT sum(n) FROM t") == 7);
}

TEST_CASE("the server forgets a statement that is no longer there, or was prepared anew")
{
    Connection connection{Server::shared().address()};
    const auto prepared = [&] { return number(connection, "SELECT count(*) FROM pg_prepared_statements"); };
    for (int round = 0; round < 5; ++round) {
        Statement statement{connection, "SELECT $1 || 'x'"};
        for (int time = 0; time < 3; ++time) (void)statement.query("text");
    }
    CHECK(prepared() <= 2); // the last one, until another is prepared
    Statement changing{connection, "SELECT coalesce($1, NULL)"};
    for (int round = 0; round < 5; ++round) {
        (void)changing.query(round);
        (void)changing.query("text");
    }
    CHECK(prepared() <= 2);

    const Transaction transaction{connection};
    CHECK_THROWS_AS(connection.execute("no SQL"), DatabaseError);
    {
        Statement failing{connection, "SELECT $1::text"};
        CHECK_THROWS_AS(failing.query("a"), DatabaseError);
        CHECK_THROWS_AS(failing.query("a"), DatabaseError);
    }
}

TEST_CASE("an error tells the server's words, its code and where, but no password")
{
    Connection connection{Server::shared().address() + "?password=secret"};
    try {
        connection.execute("SELECT 1 / 0");
        FAIL("no error");
    } catch (const DatabaseError& error) {
        CHECK(error.state() == "22012");
        const std::string text = error.what();
        CHECK(text.find("division by zero") != std::string::npos);
        CHECK(text.find("127.0.0.1:" + std::to_string(Server::shared().port()) + "/" + Server::shared().database()) !=
              std::string::npos);
        CHECK(text.find("secret") == std::string::npos);
    }
    CHECK_THROWS_AS(Connection{"postgresql://127.0.0.1:1/nothing?connect_timeout=2"}, ConnectionLost);
    CHECK_THROWS_AS(Connection{"no connection string"}, ConnectionLost);
}

TEST_CASE("no part of a password is in an error, however the connection string is malformed")
{
    const std::string server = "127.0.0.1:" + std::to_string(Server::shared().port()) + "/nothing";
    for (const std::string& address : std::vector<std::string>{
             "postgresql://app:s3c@r3t@" + server,
             "postgresql://app:s3c/r3t@" + server,
             "postgresql://app:s3c?r3t@x@" + server,
             "postgresql://app:s3c%r3t@" + server,
             "postgresql://app:s3c%zzr3t@" + server,
             "postgresql://app:12/r3t@" + server,
             "postgresql://app:[s3c@" + server + "?r3t",
             "postgresql://app:s3c@" + server + "?r3t=1",
             "postgresql://app:s3cr3t",
             "postgresql://app@127.0.0.1:s3cr3t/nothing",
             "postgresql://app@127.0.0.1:1,127.0.0.1:s3cr3t/nothing",
             "postgresql://app@127.0.0.1:7777777/nothing",
             "postgresql://[s3cr3t/nothing",
             "app:s3c@r3t@127.0.0.1",
             "postgres:/app:s3cr3t@127.0.0.1",
             "host=127.0.0.1 port=1 password=s3c r3t",
             "host=127.0.0.1 port=1 password=s3c r3t=x",
             "host=127.0.0.1 port=1 password='s3cr3t",
             "host=127.0.0.1 port=s3cr3t",
             "s3cr3t",
         }) {
        INFO(address);
        try {
            const Connection connection{address, {.answer_timeout = std::chrono::seconds{2}}};
            FAIL("no error");
        } catch (const ConnectionLost& error) {
            const std::string text = error.what();
            for (const char* const part : {"s3c", "r3t", "7777777"}) CHECK_THAT(text, !Catch::Contains(part));
        }
    }
    CHECK_THROWS_WITH(Connection{"postgresql://app:a@b@" + server}, Catch::Contains("'@' is written %40"));
}

TEST_CASE("TLS and passwords are libpq's, by the connection string")
{
    const std::string server =
        "127.0.0.1:" + std::to_string(Server::shared().port()) + "/" + Server::shared().database();
    const std::string trusted = "?sslmode=verify-full&sslrootcert=" + Server::shared().certificate();
    Connection owner{Server::shared().address()};
    owner.execute("DROP ROLE IF EXISTS with_password; CREATE ROLE with_password LOGIN PASSWORD 'right'");
    {
        Connection connection{"postgresql://with_password:right@" + server + trusted};
        CHECK(number(connection, "SELECT ssl::integer FROM pg_stat_ssl WHERE pid = pg_backend_pid()") == 1);
    }
    const auto refusal = [](const std::string& address) {
        try {
            const Connection connection{address};
        } catch (const ConnectionLost& error) {
            return std::string{error.what()};
        }
        return std::string{"none"};
    };
    const std::string wrong = refusal("postgresql://with_password:wrong@" + server + trusted);
    CHECK_THAT(wrong, Catch::Contains("password authentication failed"));
    CHECK_THAT(wrong, !Catch::Contains("wrong"));
    CHECK_THAT(refusal("postgresql://with_password:right@" + server + "?sslmode=disable"), Catch::Contains("reject"));
    CHECK_THAT(refusal("postgresql://with_password:right@" + server + "?sslmode=verify-full&sslrootcert=system"),
               Catch::Contains("root certificate"));
    CHECK_THAT(refusal("postgresql://with_password:right@localhost:" + std::to_string(Server::shared().port()) +
                       "/postgres" + trusted),
               Catch::Contains("does not match host name"));
}

TEST_CASE("a transaction that ends without commit leaves nothing, nor does a part of it")
{
    Connection connection{Server::shared().address()};
    connection.execute("CREATE TEMPORARY TABLE t (n integer)");
    {
        Transaction transaction{connection};
        connection.execute("INSERT INTO t VALUES (1)");
    }
    CHECK(number(connection, "SELECT count(*) FROM t") == 0);
    {
        Transaction transaction{connection};
        connection.execute("INSERT INTO t VALUES (1)");
        {
            Savepoint part{connection};
            connection.execute("INSERT INTO t VALUES (2)");
            CHECK_THROWS_AS(connection.execute("SELECT 1 / 0"), DatabaseError);
        }
        {
            Savepoint part{connection};
            connection.execute("INSERT INTO t VALUES (4)");
            part.commit();
        }
        transaction.commit();
    }
    CHECK(number(connection, "SELECT sum(n) FROM t") == 5);
    Transaction transaction{connection};
    CHECK_THROWS_AS(connection.execute("SELECT 1 / 0"), DatabaseError);
    CHECK_THROWS_AS(transaction.commit(), DatabaseError); // the server would call its rollback a success
}

TEST_CASE("a lost connection is made again outside of transactions, and prepared statements with it")
{
    Connection connection{Server::shared().address()};
    Statement statement{connection, "SELECT 1"};
    CHECK(statement.query().size() == 1);
    end_backend(connection);
    CHECK_THROWS_AS(statement.query(), ConnectionLost);
    CHECK(statement.query().size() == 1);

    {
        Transaction transaction{connection};
        end_backend(connection);
        CHECK_THROWS_AS(statement.query(), ConnectionLost);
        CHECK_THROWS_AS(statement.query(), ConnectionLost); // not outside of the transaction it belongs to
        CHECK_THROWS_AS(transaction.commit(), ConnectionLost);
    }
    CHECK(statement.query().size() == 1);
}

TEST_CASE("a pool lends no more connections than it may open, and replaces those that were lost")
{
    struct Session {
        Connection* connection;
    };
    ConnectionPool<Session> pool{Server::shared().address() + "?application_name=pool",
                                 {},
                                 2,
                                 [](Connection& connection) { return Session{&connection}; }};
    std::atomic<int> in_use{0};
    std::atomic<int> most{0};
    {
        std::vector<std::jthread> threads;
        for (int thread = 0; thread < 6; ++thread) {
            threads.emplace_back([&] {
                for (int round = 0; round < 20; ++round) {
                    pool.with_one([&](Session& session) {
                        const int now = ++in_use;
                        for (int seen = most; seen < now && !most.compare_exchange_weak(seen, now);) {}
                        session.connection->execute("SELECT pg_sleep(0.001)");
                        --in_use;
                    });
                }
            });
        }
    }
    CHECK(most == 2);
    Connection other{Server::shared().address()};
    const char* const open = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pool' AND "
                             "datname = current_database()";
    CHECK(number(other, open) == 2);
    for (int lost = 0; lost < 4; ++lost) {
        CHECK_THROWS_AS(pool.with_one([](Session& session) {
            end_backend(*session.connection);
            session.connection->execute("SELECT 1");
        }),
                        ConnectionLost);
    }
    CHECK(pool.with_one([](Session& session) { return number(*session.connection, "SELECT 3"); }) == 3);
}

TEST_CASE("a schema is brought to its newest version once, however many try at once")
{
    const std::string schema = "Odd \"name\"";
    static constexpr const char* steps[] = {"CREATE TABLE {s}.one (n integer)", // NOLINT(modernize-avoid-c-arrays)
                                            "CREATE TABLE {s}.two (n integer); INSERT INTO {s}.one VALUES (1)"};
    const SchemaPart first{"things", std::span{steps}.first(1)};
    const SchemaPart second{"things", steps};
    const std::string address = Server::shared().address();
    std::mutex mutex;
    std::string failures;
    const auto migrate_in_threads = [&](const SchemaPart& part) {
        std::vector<std::jthread> threads;
        for (int thread = 0; thread < 8; ++thread) {
            threads.emplace_back([&] {
                try {
                    Connection connection{address};
                    migrate(connection, schema, part);
                } catch (const StoreError& error) {
                    const std::scoped_lock lock{mutex};
                    failures += error.what();
                }
            });
        }
    };
    migrate_in_threads(first);
    migrate_in_threads(second);
    CHECK(failures == "");
    Connection connection{Server::shared().address()};
    CHECK(number(connection, with_schema("SELECT count(*) FROM {s}.one", schema)) == 1);
    CHECK_THROWS_AS(migrate(connection, schema, first), StoreError); // newer than this code
}
