// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// Files that the library made when each of its schemas was at its first version: today's opens and upgrades them.
#include <escqrs/sqlite/checkpoint.hpp>
#include <escqrs/sqlite/event_store.hpp>
#include <escqrs/sqlite/message_queue.hpp>
#include <escqrs/sqlite/parking_lot.hpp>
#include <escqrs/sqlite/read_model.hpp>
#include <escqrs/testing/catch2.hpp>
#include <escqrs/testing/detail/event_store_snapshots.hpp>
#include <escqrs/testing/detail/sample_events.hpp>

#include "support/temporary_folder.hpp"

#include <fstream>
#include <set>
#include <sstream>
#include <string>

using namespace escqrs;
using namespace escqrs::testing::detail;

namespace {

struct OldFile {
    explicit OldFile(const std::string& form)
    {
        std::stringstream sql;
        sql << std::ifstream{std::string{ESCQRS_SQLITE_FORMS} + '/' + form}.rdbuf();
        sqlite::Database{path}.execute(sql.str());
    }

    TemporaryFolder folder;
    std::string path = folder.file("old.db");
};

} // namespace

TEST_CASE("an event store of the first schema is upgraded, and keeps what it holds")
{
    const OldFile file{"event_store_1.sql"};
    CHECK(sqlite::Database{file.path}.query_integer("PRAGMA user_version") == 1);
    sqlite::EventStore store{file.path};
    CHECK(sqlite::Database{file.path}.query_integer("PRAGMA user_version") == 3);
    CHECK_FALSE(store.log_id().is_nil());
    const auto events = read_stream(store, sample_stream("one"));
    REQUIRE(events.size() == 2);
    CHECK(events[1].content.id == EventId::parse("22222222-2222-4222-8222-222222222222"));
    CHECK(events[1].content.schema_version == 2);
    CHECK(events[1].content.payload == bytes(std::string{"p\0\xFF", 3}));
    append_some(store, sample_stream("one"), 1);
    CHECK(read_log(store).back().position == GlobalPosition{4});
    const SampleSnapshot snapshot{StreamVersion{3}, 1, "text/plain", bytes("state")};
    write_snapshot(store, sample_stream("one"), snapshot);
    CHECK(read_snapshot(store, sample_stream("one")) == snapshot);
}

TEST_CASE("a queue of the first schema is upgraded, and keeps its messages and dead letters")
{
    const OldFile file{"message_queue_1.sql"};
    sqlite::MessageQueue queue{file.path};
    CHECK(sqlite::Database{file.path}.query_integer("PRAGMA user_version") == 2);
    std::multiset<std::string> ids;
    for (const auto& received : queue.receive(10, {})) ids.insert(received.message.message_id);
    for (const auto& received : queue.receive(10, {})) ids.insert(received.message.message_id);
    CHECK(ids == std::multiset<std::string>{"alone", "first", "held", "second"});
    const auto dead = queue.dead_letters(0, 10);
    REQUIRE(dead.size() == 1);
    CHECK(dead[0].message.message_id == "poison");
    CHECK(dead[0].reason == "CodecError");
}

TEST_CASE("read models of the first schema go on where they were, and can be built anew")
{
    const OldFile file{"read_models_1.sql"};
    sqlite::Database database{file.path};
    sqlite::Checkpoint orders{database, "orders"};
    CHECK(orders.bookmark() == Bookmark{GlobalPosition{4}});
    CHECK(orders.begin().replay_until() == GlobalPosition{9});
    CHECK(sqlite::StreamCheckpoint{database, "orders"}.version_of(StreamId{"account", "1"}) == StreamVersion{2});

    ReadModelSchema schema{.name = "balances",
                           .version = 1,
                           .tables = {"balance"},
                           .sql = "CREATE TABLE balance{v} (stream TEXT PRIMARY KEY, cents INTEGER NOT NULL)"};
    sqlite::ReadModel first{database, schema};
    CHECK(first.is_live());
    CHECK(first.load() == GlobalPosition{4});
    const auto parked = first.parking_lot().find(StreamId{"account", "1"});
    REQUIRE(parked);
    CHECK(parked->error == "cannot count it");
    CHECK(database.query_integer("SELECT cents FROM balance") == 5);

    schema.version = 2;
    sqlite::ReadModel second{database, schema};
    CHECK_FALSE(second.is_live());
    second.begin().commit(GlobalPosition{4});
    CHECK(second.is_live());
    CHECK(database.query_integer("SELECT count(*) FROM balance") == 0);
}
