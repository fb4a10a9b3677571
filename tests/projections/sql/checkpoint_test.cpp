// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <escqrs/core/stop_token.hpp>
#include <escqrs/projections/sql/checkpoint.hpp>

#include <escqrs/core/id_generator.hpp>
#include <escqrs/projections/sql/stream_checkpoint.hpp>
#include <escqrs/testing/catch2.hpp>

#include "projections/sql/deposits.hpp"

#include <atomic>
#include <vector>

using namespace escqrs;
using read_side::Deposits;
using read_side::Dialect;
using read_side::Model;
using read_side::Place;

static_assert(sql::Dialect<Dialect>);
static_assert(Checkpoint<read_side::Checkpoint>);
static_assert(TransactionalCheckpoint<read_side::Checkpoint>);

TEST_CASE("a checkpoint is kept by name, in the database")
{
    const Place place;
    {
        auto database = place.connect();
        read_side::Checkpoint one{database, "one", place.where()};
        read_side::Checkpoint two{database, "two", place.where()};
        CHECK(one.load() == GlobalPosition{0});
        one.save(GlobalPosition{7});
        two.save(GlobalPosition{8});
        one.save(GlobalPosition{9});
        CHECK(one.load() == GlobalPosition{9});
        CHECK(two.load() == GlobalPosition{8});
    }
    auto database = place.connect();
    CHECK(read_side::Checkpoint{database, "one", place.where()}.load() == GlobalPosition{9});
}

TEST_CASE("a checkpoint changes with the read model or not at all")
{
    Model model;
    read_side::Checkpoint checkpoint{model.database, "model", model.place.where()};
    const std::string insert = model.place.sql("INSERT INTO {s}.deposits VALUES (1)");

    SECTION("in its own transaction")
    {
        {
            auto transaction = checkpoint.begin();
            CHECK(transaction.position() == GlobalPosition{0});
            model.database.execute(insert);
            transaction.commit(GlobalPosition{5});
        }
        {
            auto transaction = checkpoint.begin();
            CHECK(transaction.position() == GlobalPosition{5});
            CHECK(transaction.replay_until() == GlobalPosition{0});
            model.database.execute(insert);
        }
        CHECK(model.count() == 1);
        CHECK(checkpoint.load() == GlobalPosition{5});
    }

    SECTION("in the caller's")
    {
        {
            const Dialect::Transaction transaction{model.database};
            model.database.execute(insert);
            checkpoint.save(GlobalPosition{5});
        }
        CHECK(model.count() == 0);
        CHECK(checkpoint.load() == GlobalPosition{0});
    }
}

TEST_CASE("a restarted checkpoint remembers the furthest it had come")
{
    const Place place;
    auto database = place.connect();
    read_side::Checkpoint checkpoint{database, "model", place.where()};
    read_side::Checkpoint other{database, "other", place.where()};
    other.save(GlobalPosition{8});
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
    CHECK(other.load() == GlobalPosition{8});
}

TEST_CASE("a checkpoint remembers in which log it was, and at which event")
{
    const Place place;
    const Bookmark mark{GlobalPosition{7}, LogId{random_uuid()}, EventId{random_uuid()}};
    {
        auto database = place.connect();
        read_side::Checkpoint{database, "one", place.where()}.save_bookmark(mark);
        read_side::Checkpoint{database, "two", place.where()}.begin().commit_bookmark(mark);
    }
    auto database = place.connect();
    read_side::Checkpoint one{database, "one", place.where()};
    CHECK(one.bookmark() == mark);
    CHECK(read_side::Checkpoint{database, "two", place.where()}.begin().bookmark() == mark);
    one.begin().commit(GlobalPosition{8});
    CHECK(one.bookmark() == Bookmark{GlobalPosition{8}, mark.log});
    one.save(GlobalPosition{8});
    CHECK(one.bookmark() == Bookmark{GlobalPosition{8}});
    one.begin().commit_restart(GlobalPosition{5});
    CHECK(one.bookmark() == Bookmark{});
    CHECK(one.begin().replay_until() == GlobalPosition{5});
}

TEST_CASE("processes that build one read model together apply each event once")
{
    Model model;
    in_memory::EventStore store;
    read_side::deposit(store, 400);
    {
        std::vector<escqrs::jthread> threads;
        threads.reserve(4);
        for (int thread = 0; thread < 4; ++thread) {
            threads.emplace_back([&] {
                auto database = model.place.connect();
                read_side::Checkpoint checkpoint{database, "deposits", model.place.where()};
                Deposits deposits{database, model.place};
                Projection projection{store, checkpoint, deposits, {.page_size = 7}};
                projection.catch_up();
            });
        }
    }
    CHECK(model.count() == 400);
}

TEST_CASE("a stream checkpoint lets each event through once and in order")
{
    const Place place;
    auto database = place.connect();
    read_side::StreamCheckpoint checkpoint{database, "model", place.where()};
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
    read_side::StreamCheckpoint another_model{database, "other", place.where()};
    CHECK(another_model.advance(stream, StreamVersion{1}) == Advance::apply);
    CHECK(another_model.advance(stream, StreamVersion{3}) == Advance::gap);

    for (const StreamId& any : {stream, StreamId{"attendee", "3"}}) {
        CHECK(checkpoint.advance(any, StreamVersion{0}) == Advance::duplicate);
        CHECK(checkpoint.advance(any, StreamVersion{1ULL << 63U}) == Advance::gap);
        CHECK(checkpoint.advance(any, StreamVersion{~0ULL}) == Advance::gap);
    }
    {
        const Dialect::Transaction transaction{database};
        CHECK(checkpoint.advance(stream, StreamVersion{3}) == Advance::apply);
    }
    CHECK(checkpoint.version_of(stream) == StreamVersion{2});

    checkpoint.clear();
    CHECK(checkpoint.version_of(stream) == StreamVersion{0});
    CHECK(checkpoint.version_of(other) == StreamVersion{0});
    CHECK(another_model.version_of(stream) == StreamVersion{1});
}

TEST_CASE("of those who apply an event of a queue at once, one does")
{
    const Place place;
    const StreamId stream{"account", "1"};
    std::atomic<int> applied{0};
    {
        std::vector<escqrs::jthread> threads;
        threads.reserve(4);
        for (int thread = 0; thread < 4; ++thread) {
            threads.emplace_back([&] {
                auto database = place.connect();
                read_side::StreamCheckpoint checkpoint{database, "deposits", place.where()};
                for (std::uint64_t version = 1; version <= 60;) {
                    Dialect::Transaction transaction{database};
                    const Advance advance = checkpoint.advance(stream, StreamVersion{version});
                    transaction.commit();
                    if (advance == Advance::apply) ++applied;
                    if (advance != Advance::gap) ++version;
                }
            });
        }
    }
    CHECK(applied == 60);
}
