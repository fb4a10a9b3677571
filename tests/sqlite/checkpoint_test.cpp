// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// What projections/sql/checkpoint_test.cpp leaves to SQLite alone.
#include <escqrs/sqlite/checkpoint.hpp>

#include <escqrs/in_memory/event_store.hpp>
#include <escqrs/projections/subscription.hpp>
#include <escqrs/testing/catch2.hpp>
#include <escqrs/testing/detail/sample_events.hpp>

#include "support/temporary_folder.hpp"

#include <memory>

namespace sqlite = escqrs::sqlite;
using escqrs::GlobalPosition;

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
