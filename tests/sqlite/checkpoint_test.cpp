// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <escqrs/sqlite/checkpoint.hpp>

#include <escqrs/core/id_generator.hpp>
#include <escqrs/in_memory/event_store.hpp>
#include <escqrs/projections/projection.hpp>
#include <escqrs/projections/subscription.hpp>
#include <escqrs/testing/catch2.hpp>
#include <escqrs/testing/detail/sample_events.hpp>

#include "support/temporary_folder.hpp"

namespace {

namespace sqlite = escqrs::sqlite;
using escqrs::GlobalPosition;
using escqrs::StreamId;
using escqrs::StreamVersion;
using sqlite::Advance;

static_assert(escqrs::Checkpoint<sqlite::Checkpoint>);
static_assert(escqrs::TransactionalCheckpoint<sqlite::Checkpoint>);

} // namespace

TEST_CASE("a checkpoint is kept by name, and in the file")
{
    const TemporaryFolder folder;
    {
        sqlite::Database database{folder.file("model.db")};
        sqlite::Checkpoint one{database, "one"};
        sqlite::Checkpoint two{database, "two"};
        CHECK(one.load() == GlobalPosition{0});
        one.save(GlobalPosition{7});
        two.save(GlobalPosition{8});
        one.save(GlobalPosition{9});
        CHECK(one.load() == GlobalPosition{9});
        CHECK(two.load() == GlobalPosition{8});
    }
    sqlite::Database database{folder.file("model.db")};
    CHECK(sqlite::Checkpoint{database, "one"}.load() == GlobalPosition{9});
}

TEST_CASE("a checkpoint changes with the read model or not at all")
{
    const TemporaryFolder folder;
    sqlite::Database database{folder.file("model.db")};
    database.execute("CREATE TABLE model (a INTEGER)");
    sqlite::Checkpoint checkpoint{database, "model"};
    const auto rows = [&] { return database.query_integer("SELECT count(*) FROM model"); };

    SECTION("in its own transaction")
    {
        {
            auto transaction = checkpoint.begin();
            CHECK(transaction.position() == GlobalPosition{0});
            database.execute("INSERT INTO model VALUES (1)");
            transaction.commit(GlobalPosition{5});
        }
        {
            auto transaction = checkpoint.begin();
            CHECK(transaction.position() == GlobalPosition{5});
            CHECK(transaction.replay_until() == GlobalPosition{0});
            database.execute("INSERT INTO model VALUES (2)");
        }
        CHECK(rows() == 1);
        CHECK(checkpoint.load() == GlobalPosition{5});
    }

    SECTION("in the caller's")
    {
        {
            const sqlite::Transaction transaction{database};
            database.execute("INSERT INTO model VALUES (1)");
            checkpoint.save(GlobalPosition{5});
        }
        CHECK(rows() == 0);
        CHECK(checkpoint.load() == GlobalPosition{0});
    }
}

TEST_CASE("a restarted checkpoint remembers the furthest it had come")
{
    const TemporaryFolder folder;
    sqlite::Database database{folder.file("model.db")};
    sqlite::Checkpoint checkpoint{database, "model"};
    checkpoint.begin().commit(GlobalPosition{10});
    checkpoint.begin().commit_restart();
    CHECK(checkpoint.load() == GlobalPosition{0});
    CHECK(checkpoint.begin().replay_until() == GlobalPosition{10});
    checkpoint.begin().commit(GlobalPosition{4});
    checkpoint.save(GlobalPosition{5});
    checkpoint.begin().commit_restart();
    CHECK(checkpoint.begin().replay_until() == GlobalPosition{10});
    checkpoint.begin().commit(GlobalPosition{12});
    checkpoint.begin().commit_restart();
    CHECK(checkpoint.begin().replay_until() == GlobalPosition{12});
}

TEST_CASE("a checkpoint in SQLite remembers in which log it was, and at which event")
{
    const TemporaryFolder folder;
    const escqrs::Bookmark mark{GlobalPosition{7}, escqrs::LogId{escqrs::random_uuid()},
                                escqrs::EventId{escqrs::random_uuid()}};
    {
        sqlite::Database database{folder.file("model.db")};
        sqlite::Checkpoint{database, "one"}.save_bookmark(mark);
        sqlite::Checkpoint{database, "two"}.begin().commit_bookmark(mark);
    }
    sqlite::Database database{folder.file("model.db")};
    sqlite::Checkpoint one{database, "one"};
    CHECK(one.bookmark() == mark);
    CHECK(sqlite::Checkpoint{database, "two"}.begin().bookmark() == mark);
    one.begin().commit(GlobalPosition{8});
    CHECK(one.bookmark() == escqrs::Bookmark{GlobalPosition{8}, mark.log});
    one.save(GlobalPosition{8});
    CHECK(one.bookmark() == escqrs::Bookmark{GlobalPosition{8}});
    one.begin().commit_restart(GlobalPosition{5});
    CHECK(one.begin().replay_until() == GlobalPosition{5});
}

TEST_CASE("a table of checkpoints from before they knew their log is upgraded, and they take the log that is read")
{
    using namespace escqrs::testing::detail;
    const TemporaryFolder folder;
    sqlite::Database database{folder.file("model.db")};
    database.execute(
        "CREATE TABLE escqrs_checkpoints (name TEXT PRIMARY KEY, position INTEGER NOT NULL, "
        "replay_until INTEGER NOT NULL) WITHOUT ROWID; INSERT INTO escqrs_checkpoints VALUES ('one', 2, 5)");
    std::unique_ptr<sqlite::Transaction> transaction;
    if (GENERATE(true, false)) transaction = std::make_unique<sqlite::Transaction>(database);
    sqlite::Checkpoint one{database, "one"};
    transaction.reset(); // rolled back
    sqlite::Checkpoint again{database, "one"};
    CHECK(again.bookmark() == escqrs::Bookmark{GlobalPosition{2}});
    CHECK(again.begin().replay_until() == GlobalPosition{5});

    escqrs::in_memory::EventStore store;
    append_some(store, sample_stream(), 3);
    escqrs::Subscription{store, again}.catch_up([](const escqrs::RecordedEvent&) {});
    CHECK(again.bookmark().log == store.log_id());
    escqrs::in_memory::EventStore other;
    append_some(other, sample_stream(), 9);
    CHECK_THROWS_WITH((escqrs::Subscription{other, again}.catch_up([](const escqrs::RecordedEvent&) {})),
                      Catch::Contains("checkpoint 'one' at position 3"));
}

TEST_CASE("a stream checkpoint lets each event through once and in order")
{
    const TemporaryFolder folder;
    sqlite::Database database{folder.file("model.db")};
    sqlite::StreamCheckpoint checkpoint{database, "model"};
    const StreamId stream{"attendee", "1"};
    const StreamId other{"attendee", "2"};

    CHECK(checkpoint.version_of(stream) == StreamVersion{0});
    CHECK(checkpoint.advance(stream, StreamVersion{2}) == Advance::gap);
    CHECK(checkpoint.advance(stream, StreamVersion{1}) == Advance::apply);
    CHECK(checkpoint.advance(stream, StreamVersion{1}) == Advance::duplicate);
    CHECK(checkpoint.advance(stream, StreamVersion{3}) == Advance::gap);
    CHECK(checkpoint.advance(stream, StreamVersion{2}) == Advance::apply);
    CHECK(checkpoint.advance(stream, StreamVersion{1}) == Advance::duplicate);
    CHECK(checkpoint.version_of(stream) == StreamVersion{2});

    CHECK(checkpoint.version_of(other) == StreamVersion{0});
    CHECK(checkpoint.advance(other, StreamVersion{1}) == Advance::apply);
    sqlite::StreamCheckpoint another_model{database, "other"};
    CHECK(another_model.advance(stream, StreamVersion{1}) == Advance::apply);

    CHECK(another_model.advance(stream, StreamVersion{3}) == Advance::gap);

    for (const StreamId& any : {stream, StreamId{"attendee", "3"}}) {
        CHECK(checkpoint.advance(any, StreamVersion{0}) == Advance::duplicate);
        CHECK(checkpoint.advance(any, StreamVersion{1ULL << 63U}) == Advance::gap);
        CHECK(checkpoint.advance(any, StreamVersion{~0ULL}) == Advance::gap);
    }
    {
        const sqlite::Transaction transaction{database};
        CHECK(checkpoint.advance(stream, StreamVersion{3}) == Advance::apply);
    }
    CHECK(checkpoint.version_of(stream) == StreamVersion{2});

    checkpoint.clear();
    CHECK(checkpoint.version_of(stream) == StreamVersion{0});
    CHECK(checkpoint.version_of(other) == StreamVersion{0});
    CHECK(another_model.version_of(stream) == StreamVersion{1});
}
