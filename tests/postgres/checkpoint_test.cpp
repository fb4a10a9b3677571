// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <escqrs/postgres/checkpoint.hpp>

#include <escqrs/commands/repository.hpp>
#include <escqrs/in_memory/event_store.hpp>
#include <escqrs/projections/projection.hpp>
#include <escqrs/testing/catch2.hpp>

#include "postgres/server.hpp"
#include "support/account.hpp"

#include <atomic>
#include <functional>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace escqrs;
using account::Account;
using account::AccountOpened;
using account::MoneyDeposited;
using postgres::Advance;
using postgres_test::Server;

static_assert(escqrs::Checkpoint<postgres::Checkpoint>);
static_assert(escqrs::TransactionalCheckpoint<postgres::Checkpoint>);

std::int64_t number(postgres::Connection& connection, const std::string& sql)
{
    postgres::Statement statement{connection, sql};
    auto rows = statement.query();
    return rows.next() ? rows.integer(0) : -1;
}

/// A table that counts what it is told, as often as it is told.
struct Deposits {
    using Events = EventList<AccountOpened, MoneyDeposited>;

    Deposits(postgres::Connection& connection, const std::string& schema)
        : insert{connection, postgres::with_schema("INSERT INTO {s}.deposits VALUES ($1)", schema)}
    {
    }
    void handle(const AccountOpened&, const EventContext&) {}
    void handle(const MoneyDeposited& event, const EventContext&)
    {
        if (before) before(event.cents);
        insert.run(event.cents);
    }
    void clear() {}

    postgres::Statement insert;
    std::function<void(std::int64_t)> before;
};

struct Model {
    Model()
    {
        connection.execute(
            postgres::with_schema("CREATE SCHEMA {s}; CREATE TABLE {s}.deposits (cents bigint)", schema));
    }
    std::int64_t count()
    {
        return number(connection, postgres::with_schema("SELECT count(*) FROM {s}.deposits", schema));
    }

    std::string address = Server::shared().address();
    std::string schema = Server::shared().new_schema();
    postgres::Connection connection{address};
};

void deposit(in_memory::EventStore& store, std::int64_t deposits)
{
    const Repository<Account, in_memory::EventStore> accounts{store};
    auto account = Account::open(Account::Id{random_uuid()}, "Ada");
    for (std::int64_t cents = 1; cents <= deposits; ++cents) account.deposit(cents);
    accounts.save(account);
}

} // namespace

TEST_CASE("a checkpoint changes with the read model or not at all")
{
    Model model;
    postgres::Checkpoint one{model.connection, "one", model.schema};
    postgres::Checkpoint other{model.connection, "other", model.schema};
    other.save(GlobalPosition{8});
    const std::string insert = postgres::with_schema("INSERT INTO {s}.deposits VALUES (1)", model.schema);
    {
        auto transaction = one.begin();
        CHECK(transaction.position() == GlobalPosition{});
        model.connection.execute(insert);
        transaction.commit(GlobalPosition{5});
    }
    {
        auto transaction = one.begin();
        CHECK(transaction.position() == GlobalPosition{5});
        model.connection.execute(insert);
    }
    CHECK(model.count() == 1);
    CHECK(one.load() == GlobalPosition{5});
    CHECK(other.load() == GlobalPosition{8});

    one.begin().commit_restart();
    CHECK(one.load() == GlobalPosition{});
    CHECK(one.begin().replay_until() == GlobalPosition{5});
    CHECK(postgres::Checkpoint{model.connection, "other", model.schema}.load() == GlobalPosition{8});
}

TEST_CASE("a checkpoint in PostgreSQL remembers in which log it was, and at which event")
{
    Model model;
    postgres::Checkpoint one{model.connection, "one", model.schema};
    const Bookmark mark{GlobalPosition{7}, LogId{random_uuid()}, EventId{random_uuid()}};
    one.save_bookmark(mark);
    CHECK(one.bookmark() == mark);
    one.begin().commit_bookmark(mark);
    CHECK(one.begin().bookmark() == mark);
    // As a program of an earlier version does.
    model.connection.execute(postgres::with_schema("UPDATE {s}.checkpoints SET position = 9", model.schema));
    CHECK(one.bookmark() == Bookmark{GlobalPosition{9}, mark.log});
    one.save(GlobalPosition{9});
    CHECK(one.bookmark() == Bookmark{GlobalPosition{9}});
    one.begin().commit_restart(GlobalPosition{5});
    CHECK(one.begin().replay_until() == GlobalPosition{5});
}

TEST_CASE("tables of checkpoints from before they knew their log are upgraded")
{
    Model model;
    postgres::Checkpoint{model.connection, "one", model.schema}.save(GlobalPosition{2});
    model.connection.execute(postgres::with_schema(
        "ALTER TABLE {s}.checkpoints DROP COLUMN log, DROP COLUMN event, DROP COLUMN event_position, DROP COLUMN "
        "lease, "
        "DROP COLUMN handled_before; ALTER TABLE {s}.leases DROP COLUMN shards; DROP TABLE {s}.shard_workers; "
        "UPDATE {s}.schema_versions SET version = 2 WHERE part = 'read models'",
        model.schema));
    postgres::Connection connection{model.address};
    postgres::Checkpoint one{connection, "one", model.schema};
    CHECK(one.bookmark() == Bookmark{GlobalPosition{2}});
    in_memory::EventStore store;
    deposit(store, 3);
    Subscription{store, one}.catch_up([](const RecordedEvent&) {});
    CHECK(one.bookmark().log == store.log_id());
    in_memory::EventStore other;
    deposit(other, 9);
    CHECK_THROWS_WITH((Subscription{other, one}.catch_up([](const RecordedEvent&) {})),
                      Catch::Contains("checkpoint 'one' at position"));
}

TEST_CASE("processes that build one read model together apply each event once")
{
    Model model;
    in_memory::EventStore store;
    deposit(store, 400);
    {
        std::vector<std::jthread> threads;
        for (int thread = 0; thread < 4; ++thread) {
            threads.emplace_back([&] {
                postgres::Connection connection{model.address};
                postgres::Checkpoint place{connection, "deposits", model.schema};
                Deposits deposits{connection, model.schema};
                Projection projection{store, place, deposits, {.page_size = 7}};
                projection.catch_up();
            });
        }
    }
    CHECK(model.count() == 400);
}

TEST_CASE("a page whose connection is lost leaves nothing, and is applied by the next one")
{
    Model model;
    in_memory::EventStore store;
    deposit(store, 30);
    postgres::Connection connection{model.address};
    postgres::Checkpoint place{connection, "deposits", model.schema};
    Deposits deposits{connection, model.schema};
    int losses = 0;
    deposits.before = [&](std::int64_t cents) {
        if (cents != 17 || ++losses > 2) return;
        postgres::Statement end{model.connection, "SELECT pg_terminate_backend($1::integer)"};
        (void)end.query(PQbackendPID(connection.handle()));
    };
    Projection projection{store, place, deposits, {.page_size = 10}};
    CHECK_THROWS_AS(projection.catch_up(), postgres::ConnectionLost);
    CHECK(model.count() == 9);
    CHECK_THROWS_AS(projection.catch_up(), postgres::ConnectionLost);
    projection.catch_up();
    CHECK(model.count() == 30);
}

TEST_CASE("an event of a queue is applied when it is the next of its stream, by one of those who try at once")
{
    Model model;
    const StreamId stream{"account", "1"};
    {
        postgres::StreamCheckpoint place{model.connection, "deposits", model.schema};
        CHECK(place.advance(stream, StreamVersion{2}) == Advance::gap);
        CHECK(place.advance(stream, StreamVersion{1}) == Advance::apply);
        CHECK(place.advance(stream, StreamVersion{1}) == Advance::duplicate);
        CHECK(place.advance(StreamId{"account", "2"}, StreamVersion{1}) == Advance::apply);
        CHECK(place.version_of(stream) == StreamVersion{1});
    }
    std::atomic<int> applied{0};
    {
        std::vector<std::jthread> threads;
        for (int thread = 0; thread < 4; ++thread) {
            threads.emplace_back([&] {
                postgres::Connection connection{model.address};
                postgres::StreamCheckpoint place{connection, "deposits", model.schema};
                for (std::uint64_t version = 2; version <= 60;) {
                    postgres::Transaction transaction{connection};
                    const Advance advance = place.advance(stream, StreamVersion{version});
                    transaction.commit();
                    if (advance == Advance::apply) ++applied;
                    if (advance != Advance::gap) ++version;
                }
            });
        }
    }
    CHECK(applied == 59);
    postgres::StreamCheckpoint place{model.connection, "deposits", model.schema};
    postgres::StreamCheckpoint other{model.connection, "withdrawals", model.schema};
    CHECK(other.advance(stream, StreamVersion{1}) == Advance::apply);
    place.clear();
    CHECK(place.version_of(stream) == StreamVersion{0});
    CHECK(other.version_of(stream) == StreamVersion{1});
}
