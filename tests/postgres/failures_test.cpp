// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <escqrs/postgres/event_store.hpp>

#include <escqrs/testing/catch2.hpp>
#include <escqrs/testing/detail/sample_events.hpp>
#include <escqrs/testing/manual_clock.hpp>

#include "postgres/server.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <future>
#include <map>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace std::chrono_literals;
using namespace escqrs::testing::detail;
using escqrs::ExpectedVersion;
using escqrs::GlobalPosition;
using escqrs::StoreError;
using escqrs::StreamVersion;
using namespace escqrs::postgres;
using postgres_test::Server;

std::int64_t number(Connection& connection, const std::string& sql)
{
    Statement statement{connection, sql};
    auto rows = statement.query();
    return rows.next() ? rows.integer(0) : -1;
}

std::string text(Connection& connection, const std::string& sql)
{
    Statement statement{connection, sql};
    auto rows = statement.query();
    std::string all;
    while (rows.next()) all.append(rows.text(0)).append(1, '\n');
    return all;
}

struct Place {
    explicit Place(Server& chosen = Server::shared(), const std::string& user = "postgres")
        : server{chosen}, address{server.address(user)}
    {
    }

    EventStore open(EventStoreOptions options = {}) const
    {
        options.schema = schema;
        return EventStore{address, options};
    }

    Server& server;
    std::string schema = server.new_schema();
    std::string address;
    Connection owner{server.address()};
};

template <class Work>
std::string error_of(Work work)
{
    try {
        work();
    } catch (const StoreError& error) {
        return error.what();
    }
    return "no error";
}

} // namespace

TEST_CASE("an append whose connection is lost on the way is stored once, and returns once")
{
    Place place;
    auto other = place.open();
    append_some(other, sample_stream(), 1);
    auto store = place.open(); // which has to look where the stream ends, and meets the obstacle
    const std::vector<SampleEvent> events(2);
    std::future<escqrs::AppendResult> appended;
    {
        Transaction obstacle{place.owner};
        (void)number(place.owner,
                     with_schema("SELECT 1 FROM pg_advisory_xact_lock('{s}.streams'::regclass::oid::bigint::"
                                 "bit(32)::integer, hashtext('" +
                                     sample_stream().text() + "'))",
                                 place.schema));
        appended = std::async(std::launch::async, [&] {
            return append(store, sample_stream(), ExpectedVersion::exactly(StreamVersion{1}), events);
        });
        Connection killer{place.address};
        int lost = 0;
        while (lost < 3) { // and again, each time it has come back
            Statement end{killer,
                          "SELECT count(pg_terminate_backend(pid)) FROM pg_locks WHERE locktype = 'advisory' AND "
                          "NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = "
                          "current_database())"};
            auto rows = end.query();
            REQUIRE(rows.next());
            if (rows.integer(0) > 0) ++lost;
            std::this_thread::sleep_for(5ms);
        }
    }
    CHECK(appended.get().version == StreamVersion{3});
    CHECK(read_stream(store, sample_stream()).size() == 3);
    CHECK(append(store, sample_stream(), ExpectedVersion::exactly(StreamVersion{1}), events).version ==
          StreamVersion{3});
    CHECK(store.head() == GlobalPosition{read_log(store).back().position});
}

TEST_CASE("a server that is killed and comes back loses nothing that was acknowledged, without help")
{
    Server own;
    Place place{own};
    auto store = place.open({.reconnect_timeout = 60s});
    std::atomic<bool> writing{true};
    std::size_t acknowledged = 0;
    std::thread writer{[&] {
        while (writing) {
            append_some(store, sample_stream(), 1);
            ++acknowledged;
        }
    }};
    for (int round = 0; round < 3; ++round) {
        std::this_thread::sleep_for(300ms);
        own.restart(round != 1);
    }
    std::this_thread::sleep_for(200ms);
    writing = false;
    writer.join();
    CHECK(acknowledged > 3);
    CHECK(read_stream(store, sample_stream()).size() == acknowledged);
}

TEST_CASE("a role that was granted the use of a store can use it, and nothing more")
{
    Place place;
    {
        auto made = place.open();
    }
    place.owner.execute("CREATE ROLE app_" + place.schema + " LOGIN");
    grant_event_store(place.owner, place.schema, "app_" + place.schema);
    place.address = Server::shared().address("app_" + place.schema);
    {
        auto store = place.open();
        append_some(store, sample_stream(), 3);
        append_some(store, sample_stream(), 3); // after an end that is known
        append_some(store, sample_stream(), 1);
        CHECK(read_stream(store, sample_stream()).size() == 7);
        CHECK(read_log(store).size() == 7);
        CHECK(store.head() == GlobalPosition{7});
        store.write_snapshot(sample_stream(), {StreamVersion{3}, 1, "x", {}});
        CHECK(store.read_snapshot(sample_stream(), [](const escqrs::Snapshot&) {}));
        CHECK(store.wait_for_events({}, 1s, {}));
    }
    Connection app{place.address};
    for (const char* const attempt :
         {"INSERT INTO {s}.events SELECT position + 100, stream, version + 100, recorded_at, 0, kind, "
          "gen_random_uuid(), metadata, payload FROM {s}.events",
          "UPDATE {s}.events SET version = version + 1", "DELETE FROM {s}.events", "TRUNCATE {s}.events",
          "SELECT setval('{s}.positions', 1)", "INSERT INTO {s}.events (position) VALUES (100)",
          "INSERT INTO {s}.streams (name) VALUES ('a-1')", "DROP TABLE {s}.events", "CREATE TABLE {s}.mine (n integer)",
          "UPDATE {s}.schema_versions SET version = 0"}) {
        INFO(attempt);
        const std::string error = error_of([&] { app.execute(with_schema(attempt, place.schema)); });
        const bool is_refused =
            error.find("permission denied") != std::string::npos || error.find("must be owner") != std::string::npos;
        CHECK(is_refused);
    }
    CHECK(error_of([&] {
              place.owner.execute(with_schema("DELETE FROM {s}.events", place.schema));
          }).find("never changed or deleted") != std::string::npos);
    place.owner.execute("CREATE ROLE nobody_" + place.schema + " LOGIN");
    place.address = Server::shared().address("nobody_" + place.schema);
    CHECK(error_of([&] { place.open(); }).find("permission denied") != std::string::npos);
}

TEST_CASE("a server that would lose commits, or shows old snapshots, is refused in words")
{
    Place place;
    {
        auto made = place.open();
    }
    const std::string role = "odd_" + place.schema;
    place.owner.execute("CREATE ROLE " + role + " LOGIN SUPERUSER; ALTER ROLE " + role +
                        " SET synchronous_commit = off");
    place.address = Server::shared().address(role);
    CHECK(error_of([&] { place.open(); }).find("expected synchronous_commit") != std::string::npos);
    CHECK_NOTHROW(place.open({.requires_durable_commits = false}));
    place.owner.execute("ALTER ROLE " + role + " SET synchronous_commit = on; ALTER ROLE " + role +
                        " SET default_transaction_isolation = 'repeatable read'");
    auto store = place.open({.connection = {.prepares_statements = false}}); // nothing can be set behind a PgBouncer
    CHECK(error_of([&] { append_some(store, sample_stream(), 1); }).find("read committed") != std::string::npos);
    CHECK(error_of([&] { (void)read_log(store); }).find("read committed") != std::string::npos);
    place.owner.execute("ALTER ROLE " + role + " SET default_transaction_isolation = 'read committed'; ALTER ROLE " +
                        role + " SET default_transaction_read_only = on");
    auto read_only = place.open();
    CHECK(error_of([&] { append_some(read_only, sample_stream(), 1); }).find("read-only") != std::string::npos);
}

TEST_CASE("what cannot be stored is refused as a whole, and takes no other with it")
{
    Place place;
    auto store = place.open();
    std::vector<SampleEvent> events(2);
    events[1].type = std::string{"a\0b", 3};
    CHECK_THROWS_AS(append(store, sample_stream(), ExpectedVersion::any(), events), StoreError);
    events[1].type = "\xFF\xFE";
    CHECK_THROWS_AS(append(store, sample_stream(), ExpectedVersion::any(), events), StoreError);
    CHECK(count_events(store) == 0);
    append_some(store, sample_stream(), 1);
    CHECK(error_of([&] {
              EventStore other{place.address, {.schema = "it's"}};
          }).find("expected the name of a schema") != std::string::npos);
}

TEST_CASE("the head is not waited for longer than allowed")
{
    Place place;
    auto store = place.open({.head_timeout = 50ms});
    append_some(store, sample_stream(), 1);
    Connection slow{place.address};
    {
        const Transaction transaction{slow};
        slow.execute(
            with_schema("SELECT {s}.append(ARRAY['sample-slow'], ARRAY[-1::bigint], ARRAY[1], ARRAY[1], "
                        "ARRAY[0], ARRAY[gen_random_uuid()], ARRAY[1], ARRAY[''::bytea], ARRAY[''::bytea], now())",
                        place.schema));
        append_some(store, sample_stream(), 1);
        CHECK(error_of([&] { (void)store.head(); })
                  .find("at position 3, but an append that has not ended holds the log back at 1 (process " +
                        std::to_string(PQbackendPID(slow.handle())) + " of the server, by pg_locks)") !=
              std::string::npos);
        CHECK(count_events(store) == 1);
    }
    CHECK(store.head() == GlobalPosition{3});
    CHECK(count_events(store) == 2);
}

TEST_CASE("the head is waited for by the clock that was handed in")
{
    Place place;
    escqrs::testing::ManualClock clock;
    auto store = place.open({.clock = &clock});
    append_some(store, sample_stream(), 1);
    Connection slow{place.address};
    const Transaction transaction{slow};
    slow.execute(with_schema("SELECT {s}.append(ARRAY['sample-slow'], ARRAY[-1::bigint], ARRAY[1], ARRAY[1], "
                             "ARRAY[0], ARRAY[gen_random_uuid()], ARRAY[1], ARRAY[''::bytea], ARRAY[''::bytea], now())",
                             place.schema));
    append_some(store, sample_stream(), 1);
    auto error = std::async(std::launch::async, [&] { return error_of([&] { (void)store.head(); }); });
    while (clock.waiting() == 0 && error.wait_for(0ms) != std::future_status::ready) std::this_thread::yield();
    CHECK(clock.waiting() == 1);
    clock.advance(1h);
    CHECK(error.get().find("holds the log back at 1") != std::string::npos);
}

TEST_CASE("large events are read in pages of bounded size")
{
    Place place;
    auto store = place.open();
    std::vector<SampleEvent> events(1);
    for (int count = 0; count < 20; ++count) {
        events[0].id = escqrs::EventId{escqrs::random_uuid()};
        events[0].payload.assign(1'000'000, static_cast<std::byte>(count));
        append(store, sample_stream(), ExpectedVersion::any(), events);
    }
    std::size_t bytes = 0;
    std::uint64_t version = 0;
    bool in_order = true;
    const auto show = [&](const escqrs::RecordedEvent& event) {
        in_order = in_order && event.version.value() == ++version;
        bytes += event.payload.size();
        return true;
    };
    store.read_stream(sample_stream(), StreamVersion{1}, show);
    CHECK(bytes == 20'000'000);
    version = 0;
    store.read_log({}, 100, show);
    CHECK(bytes == 40'000'000);
    CHECK(in_order);
    append_some(store, sample_stream(), 1); // connections are in order after pages that were cut
    CHECK(store.head() == GlobalPosition{21});
}

TEST_CASE("streams and pages of the log are found by their indexes, be it partitioned or not")
{
    const std::uint64_t partition_size = GENERATE(0U, 10'000U);
    Place place;
    auto store = place.open({.partition_size = partition_size});
    for (int part = 0; part < 50; ++part) append_some(store, sample_stream(std::to_string(part)), 500);
    for (const char* const table : {"events", "streams"}) {
        place.owner.execute(with_schema(std::string{"ANALYZE {s}."} + table, place.schema));
    }
    if (partition_size != 0) place.owner.execute(with_schema("ANALYZE {s}.event_keys", place.schema));
    const auto plan = [&](const std::string& query) {
        return text(place.owner, "EXPLAIN " + with_schema(query, place.schema));
    };
    const escqrs::postgres::detail::EventLogSession session{place.owner, place.schema};
    const std::vector<std::string> queries{
        session.stream_page(sample_stream("7"), 3, 64).query,
        session.log_page(900, 19'000, 64, {}).query,
        session.log_page(900, 19'000, 2048, {}).query,
        session.log_page(900, 19'000, 64, {.categories = {"sample"}, .types = {"SampleHappened"}}).query,
        session.log_page(900, 19'000, 64, {.categories = {"rare"}, .types = {"NeverHappened"}}).query,
        "SELECT max(position) FROM {s}.events WHERE position <= 17000",
        "SELECT version FROM {s}.event_keys WHERE stream = 3 ORDER BY version DESC LIMIT 1",
        "SELECT * FROM {s}.event_keys WHERE id = '00000000-0000-0000-0000-000000000001'",
        "SELECT k.version FROM unnest(ARRAY[gen_random_uuid(), gen_random_uuid()]) AS given (id) "
        "LEFT JOIN {s}.event_keys k ON k.id = given.id",
    };
    std::vector<std::string> plans;
    for (const std::string& query : queries) plans.push_back(plan(query));
    // As they are planned once for all values.
    place.owner.execute("SET plan_cache_mode = force_generic_plan");
    place.owner.execute("PREPARE stream_begin (text, bigint) AS " + session.stream_query("$1", "$2", 64));
    place.owner.execute("PREPARE log_begin (bigint, bigint) AS " + session.log_query("$1", "$2", "", 64));
    plans.push_back(plan("EXECUTE stream_begin ('sample-7', 3)"));
    plans.push_back(plan("EXECUTE log_begin (900, 19000)"));
    for (const std::string& found : plans) {
        INFO(found);
        for (const char* const table :
             {"events ", "event_keys", "events_0", "events_1", "events_2"}) { // events_3 is empty
            CHECK(found.find(std::string{"Seq Scan on "} + table) == std::string::npos);
        }
        CHECK(found.find("Sort") == std::string::npos);
    }
}

TEST_CASE("partitions are made as the log grows, by the append that comes to the end of one")
{
    Place place;
    auto one = place.open({.partition_size = 10'000});
    auto two = place.open(); // that it is partitioned is the log's affair
    const auto append_to = [&](EventStore& store, const std::string& name) {
        for (int part = 0; part < 60; ++part) {
            append_some(store, sample_stream(name), 1);
            append_some(store, sample_stream(name), 500);
        }
    };
    {
        const std::jthread other{[&] { append_to(two, "two"); }};
        append_to(one, "one");
    }
    CHECK(count_events(one) == 2 * 60 * 501);
    CHECK(read_stream(one, sample_stream("one")).size() == 60 * 501);
    CHECK(read_stream(two, sample_stream("two")).size() == 60 * 501);
    append_some(one, sample_stream("three"), 25'000); // more than a partition holds
    CHECK(read_stream(two, sample_stream("three")).size() == 25'000);
    CHECK(number(place.owner,
                 "SELECT count(*) FROM pg_inherits WHERE inhparent = '" + place.schema + ".events'::regclass") >= 9);
    CHECK(error_of([&] {
              place.owner.execute(with_schema("DELETE FROM {s}.events_0", place.schema));
          }).find("never changed or deleted") != std::string::npos);
    CHECK(error_of([&] { place.open({.partition_size = 10}); }).find("at least 10000 positions, found a size of 10") !=
          std::string::npos);
}

TEST_CASE("stores that append to one stream by turns know its end no better than the server does")
{
    const auto size = GENERATE(std::size_t{1}, std::size_t{3});
    Place place;
    auto one = place.open();
    auto two = place.open();
    const auto append_at = [size](EventStore& store, ExpectedVersion expected) {
        return append(store, sample_stream(), expected, std::vector<SampleEvent>(size)).version;
    };
    const auto after = [size](std::size_t appends) { return StreamVersion{appends * size}; };
    CHECK(append_at(one, ExpectedVersion::any()) == after(1));
    CHECK(append_at(two, ExpectedVersion::exactly(after(1))) == after(2));
    CHECK(append_at(one, ExpectedVersion::any()) == after(3));
    CHECK(append_at(one, ExpectedVersion::stream_exists()) == after(4));
    CHECK_THROWS_AS(append_at(one, ExpectedVersion::exactly(after(3))), escqrs::ConcurrencyError);
    CHECK_THROWS_AS(append_at(two, ExpectedVersion::exactly(after(2))), escqrs::ConcurrencyError);
    CHECK_THROWS_AS(append_at(two, ExpectedVersion::exactly(after(9))), escqrs::ConcurrencyError);
    CHECK(append_at(two, ExpectedVersion::exactly(after(4))) == after(5));
    CHECK_THROWS_AS(append_at(one, ExpectedVersion::exactly(after(4))), escqrs::ConcurrencyError);
    CHECK(append_at(one, ExpectedVersion::any()) == after(6));
    CHECK_THROWS_AS(append_at(one, ExpectedVersion::no_stream()), escqrs::ConcurrencyError);

    constexpr std::size_t each = 200;
    {
        std::vector<std::jthread> threads;
        for (EventStore* const store : {&one, &two, &one, &two}) {
            threads.emplace_back([&append_at, store] {
                for (std::size_t count = 0; count < each; ++count) append_at(*store, ExpectedVersion::any());
            });
        }
    }
    CHECK(read_stream(one, sample_stream()).size() == (6 + 4 * each) * size);
    const auto log = read_log(two);
    CHECK(std::ranges::is_sorted(log, {}, [](const auto& event) { return event.version; }));
}

TEST_CASE("appends that go out together are each stored once, in their stream's order, while another store takes their "
          "places")
{
    Place place;
    auto one = place.open();
    auto two = place.open({.max_writers = 2});
    constexpr std::size_t threads_of_each = 8;
    constexpr std::size_t each = 150;
    constexpr std::size_t shared_streams = 3;
    std::atomic<std::size_t> conflicts = 0;
    {
        std::vector<std::jthread> threads;
        for (std::size_t number = 0; number < 2 * threads_of_each; ++number) {
            threads.emplace_back([&, number] {
                EventStore& store = number % 2 == 0 ? one : two;
                StreamVersion last;
                for (std::size_t count = 0; count < each; ++count) {
                    const std::size_t size = count % 25 == 24 ? 2 : 1;
                    last = append(store, sample_stream("own" + std::to_string(number)),
                                  count % 3 == 0 ? ExpectedVersion::any() : ExpectedVersion::exactly(last),
                                  std::vector<SampleEvent>(size))
                               .version;
                    const auto shared = sample_stream("shared" + std::to_string(count % shared_streams));
                    if (count % 10 == 0) append_some(store, shared, 1);
                    try {
                        if (count % 10 == 5) append(store, shared, ExpectedVersion::exactly(StreamVersion{9}), {{}});
                    } catch (const escqrs::ConcurrencyError&) {
                        ++conflicts;
                    }
                }
            });
        }
    }
    constexpr std::size_t of_thread = each + each / 25;
    for (std::size_t number = 0; number < 2 * threads_of_each; ++number) {
        CHECK(read_stream(one, sample_stream("own" + std::to_string(number))).size() == of_thread);
    }
    CHECK(conflicts > 0);
    std::map<std::string, std::uint64_t> ends;
    std::size_t disorders = 0;
    const auto log = read_log(two);
    for (const auto& event : log) disorders += event.version.value() == ++ends[event.stream.text()] ? 0U : 1U;
    CHECK(disorders == 0);
    CHECK(log.size() == 2 * threads_of_each * (of_thread + 2 * each / 10) - conflicts);
}

TEST_CASE("an append in a prepared transaction holds the log back until it is committed")
{
    Server own;
    Place place{own};
    auto store = place.open();
    append_some(store, sample_stream("before"), 1);
    Connection hand{place.address};
    const auto prepare = [&](const std::string& name) {
        hand.execute(with_schema("BEGIN; SELECT {s}.append_one('sample-" + name +
                                     "', -1, gen_random_uuid(), 1, '', '', now()); PREPARE TRANSACTION '" +
                                     place.schema + name + "'",
                                 place.schema));
    };
    prepare("kept");
    prepare("lost");
    append_some(store, sample_stream("behind"), 1);
    CHECK(count_events(store) == 1);
    own.restart(true); // it is kept over that, with its lock
    CHECK(count_events(store) == 1);
    Connection other{place.address};
    other.execute("ROLLBACK PREPARED '" + place.schema + "lost'");
    CHECK(count_events(store) == 1);
    other.execute("COMMIT PREPARED '" + place.schema + "kept'");
    const auto log = read_log(store);
    REQUIRE(log.size() == 3);
    CHECK(log[1].stream == sample_stream("kept"));
    CHECK(log[2].stream == sample_stream("behind"));
}
