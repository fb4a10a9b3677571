// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <escqrs/core/stop_token.hpp>
#include <escqrs/sqlite/group_commit.hpp>

#include <escqrs/testing/catch2.hpp>

#include "support/temporary_folder.hpp"

#include <atomic>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

namespace sqlite = escqrs::sqlite;
using sqlite::Database;

constexpr sqlite::Schema schema{"test file", 1, 1, "CREATE TABLE t (a INTEGER UNIQUE)"};

struct Fixture {
    void insert(std::int64_t value) { statement.run(value); }
    std::int64_t count() { return database.query_integer("SELECT count(*) FROM t"); }

    TemporaryFolder folder;
    Database database{folder.file("t.db"), schema, {.busy_timeout = std::chrono::milliseconds{20}}};
    sqlite::Statement statement{database, "INSERT INTO t VALUES (?)"};
    sqlite::GroupCommit commits{database};
};

/// Lets pieces of work gather after one that is under way, so that they become one group; how long that takes is up to
/// the machine.
template <class... Works>
void commit_as_one_group(Fixture& fixture, std::chrono::milliseconds patience, Works... works)
{
    std::atomic<bool> first_is_running{false};
    std::atomic<int> waiting{0};
    std::vector<escqrs::jthread> threads;
    threads.emplace_back([&] {
        fixture.commits.commit([&](Database&) {
            first_is_running = true;
            while (waiting != sizeof...(Works)) std::this_thread::yield();
            std::this_thread::sleep_for(patience); // all of them are on their way into the queue
        });
    });
    while (!first_is_running) std::this_thread::yield();
    (threads.emplace_back([&] {
        ++waiting;
        works();
    }),
     ...);
}

} // namespace

TEST_CASE("work is committed when commit returns, and its result comes back")
{
    Fixture fixture;
    const std::string result = fixture.commits.commit([&](Database& database) {
        CHECK(&database == &fixture.database);
        CHECK(database.in_transaction());
        fixture.insert(1);
        return std::string{"done"};
    });
    CHECK(result == "done");
    CHECK_FALSE(fixture.database.in_transaction());
    Database other{fixture.database.path()};
    CHECK(other.query_integer("SELECT count(*) FROM t") == 1);
}

TEST_CASE("work that throws is undone, and the exception comes out")
{
    Fixture fixture;
    CHECK_THROWS_AS(fixture.commits.commit([&](Database&) {
        fixture.insert(1);
        throw std::out_of_range{"its own"};
    }),
                    std::out_of_range);
    CHECK_THROWS_AS(fixture.commits.commit([](Database&) { throw std::out_of_range{"nothing written"}; }),
                    std::out_of_range);
    CHECK(fixture.count() == 0);
    fixture.commits.commit([&](Database&) { fixture.insert(1); });
    CHECK(fixture.count() == 1);
}

TEST_CASE("callers that wait share a transaction")
{
    Fixture fixture;
    const auto insert = [&](int value) {
        return [&fixture, value] { fixture.commits.commit([&](Database&) { fixture.insert(value); }); };
    };
    std::uint64_t transactions = 0;
    int inserted = 0;
    for (int patience = 10; patience < 5000 && transactions != 2; patience *= 3) {
        const auto before = fixture.database.transactions();
        commit_as_one_group(fixture, std::chrono::milliseconds{patience}, insert(inserted + 1), insert(inserted + 2),
                            insert(inserted + 3), insert(inserted + 4));
        transactions = fixture.database.transactions() - before;
        inserted += 4;
    }
    CHECK(fixture.count() == inserted);
    CHECK(transactions == 2);
}

TEST_CASE("in a group, each piece of work fails alone")
{
    Fixture fixture;
    std::atomic<int> failures{0};
    const auto insert = [&](int value) {
        return [&fixture, value] { fixture.commits.commit([&](Database&) { fixture.insert(value); }); };
    };
    const auto insert_and_fail = [&](int value, int taken) {
        return [&, value, taken] {
            try {
                fixture.commits.commit([&](Database&) {
                    fixture.insert(value);
                    fixture.insert(taken);
                });
            } catch (const sqlite::DatabaseError& error) {
                if (error.code() == SQLITE_CONSTRAINT_UNIQUE) ++failures;
            }
        };
    };
    const auto fail_at_once = [&] {
        try {
            fixture.commits.commit([&](Database&) { throw 1; });
        } catch (int) {
            ++failures;
        }
    };
    fixture.insert(1);
    commit_as_one_group(fixture, std::chrono::milliseconds{20}, insert(2), insert_and_fail(10, 1), insert(3),
                        fail_at_once, insert_and_fail(11, 1), insert(4));
    CHECK(failures == 3);
    CHECK(fixture.count() == 4);
    CHECK(fixture.database.query_integer("SELECT count(*) FROM t WHERE a >= 10") == 0);
}

TEST_CASE("if the transaction fails, every caller in the group gets the error")
{
    Fixture fixture;
    std::atomic<int> failures{0};
    Database other{fixture.database.path()};
    {
        const sqlite::Transaction blocker{other};
        std::vector<escqrs::jthread> threads;
        for (int value = 0; value < 6; ++value) {
            threads.emplace_back([&, value] {
                try {
                    fixture.commits.commit([&](Database&) { fixture.insert(value); });
                } catch (const sqlite::DatabaseError& error) {
                    if ((error.code() & 0xFF) == SQLITE_BUSY) ++failures;
                }
            });
        }
    }
    CHECK(failures == 6);
    CHECK(fixture.count() == 0);
    fixture.commits.commit([&](Database&) { fixture.insert(1); });
    CHECK(fixture.count() == 1);
}

TEST_CASE("a constraint that only the commit finds broken fails the group and leaves nothing behind")
{
    Fixture fixture;
    fixture.database.execute("CREATE TABLE child (a INTEGER REFERENCES t (a) DEFERRABLE INITIALLY DEFERRED)");
    sqlite::Statement orphan{fixture.database, "INSERT INTO child VALUES (99)"};
    CHECK_THROWS_AS(fixture.commits.commit([&](Database&) { orphan.run(); }), sqlite::DatabaseError);
    CHECK_FALSE(fixture.database.in_transaction());
    CHECK(fixture.database.query_integer("SELECT count(*) FROM child") == 0);
    fixture.commits.commit([&](Database&) { fixture.insert(1); });
    CHECK(fixture.count() == 1);
}

TEST_CASE("many threads, small groups: each caller's work is done exactly once")
{
    Fixture fixture;
    sqlite::GroupCommit commits{fixture.database, 3};
    constexpr int threads = 12;
    constexpr int rounds = 60;
    std::atomic<int> failures{0};
    {
        std::vector<escqrs::jthread> running;
        for (int thread = 0; thread < threads; ++thread) {
            running.emplace_back([&, thread] {
                for (int round = 0; round < rounds; ++round) {
                    try {
                        commits.commit([&](Database&) {
                            fixture.insert(thread * rounds + round);
                            if (round % 10 == 9) throw round;
                        });
                    } catch (int) {
                        ++failures;
                    }
                }
            });
        }
    }
    CHECK(failures == threads * rounds / 10);
    CHECK(fixture.count() == threads * rounds * 9 / 10);
}
