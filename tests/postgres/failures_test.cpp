// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <escqrs/postgres/event_store.hpp>

#include <escqrs/testing/catch2.hpp>
#include <escqrs/testing/detail/sample_events.hpp>

#include "postgres/server.hpp"

#include <chrono>
#include <future>
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
    explicit Place(const std::string& user = "postgres") : address{Server::shared().address(user)} {}

    EventStore open(EventStoreOptions options = {}) const
    {
        options.schema = schema;
        return EventStore{address, options};
    }

    std::string schema = Server::shared().new_schema();
    std::string address;
    Connection owner{Server::shared().address()};
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

TEST_CASE("an append whose connection is lost on the way is stored once, and told once")
{
    Place place;
    auto store = place.open();
    append_some(store, sample_stream(), 1);
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
                          "NOT granted"};
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

TEST_CASE("a server that is killed and comes back loses nothing that was acknowledged, and nobody has to be told")
{
    Place place;
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
        Server::shared().restart(round != 1);
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
        CHECK(read_stream(store, sample_stream()).size() == 3);
        CHECK(read_log(store).size() == 3);
        CHECK(store.head() == GlobalPosition{3});
        store.write_snapshot(sample_stream(), {StreamVersion{3}, 1, "x", {}});
        CHECK(store.read_snapshot(sample_stream(), [](const escqrs::Snapshot&) {}));
        CHECK(store.wait_for_events({}, 1s, {}));
    }
    Connection app{place.address};
    for (const char* const attempt :
         {"INSERT INTO {s}.events SELECT position + 100, stream, version + 100, recorded_at, 0, kind, "
          "gen_random_uuid(), metadata, payload FROM {s}.events",
          "UPDATE {s}.events SET version = version + 1", "DELETE FROM {s}.events", "TRUNCATE {s}.events",
          "SELECT nextval('{s}.positions')", "INSERT INTO {s}.streams (name) VALUES ('a-1')", "DROP TABLE {s}.events",
          "CREATE TABLE {s}.mine (n integer)", "UPDATE {s}.schema_versions SET version = 0"}) {
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
    auto store = place.open();
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
                  .find("at position 3, but an append that has not ended holds the log "
                        "back at 1") != std::string::npos);
        CHECK(count_events(store) == 1);
    }
    CHECK(store.head() == GlobalPosition{3});
    CHECK(count_events(store) == 2);
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

TEST_CASE("streams and pages of the log are found by their indexes")
{
    Place place;
    auto store = place.open();
    for (int part = 0; part < 40; ++part) append_some(store, sample_stream(std::to_string(part)), 500);
    place.owner.execute(with_schema("ANALYZE {s}.events", place.schema));
    place.owner.execute(with_schema("ANALYZE {s}.streams", place.schema));
    const auto plan = [&](const std::string& query) {
        return text(place.owner, "EXPLAIN " + with_schema(query, place.schema));
    };
    const escqrs::postgres::detail::EventLogSession session{place.owner, place.schema};
    const std::vector<std::string> queries{
        session.stream_page(sample_stream("7"), 3, 64).query,
        session.log_page(900, 19'000, 64, {}).query,
        session.log_page(900, 19'000, 64, {.categories = {"sample"}, .types = {"SampleHappened"}}).query,
        session.log_page(900, 19'000, 64, {.categories = {"rare"}, .types = {"NeverHappened"}}).query,
        "SELECT max(position) FROM {s}.events WHERE position <= 17000",
        "SELECT version FROM {s}.events WHERE stream = 3 ORDER BY version DESC LIMIT 1",
        "SELECT * FROM {s}.events WHERE id = '00000000-0000-0000-0000-000000000001'",
        "SELECT e.version FROM unnest(ARRAY[gen_random_uuid(), gen_random_uuid()]) AS given (id) "
        "LEFT JOIN {s}.events e ON e.id = given.id",
    };
    for (const std::string& query : queries) {
        const std::string found = plan(query);
        INFO(found);
        CHECK(found.find("Seq Scan on events") == std::string::npos);
        CHECK(found.find("Sort") == std::string::npos);
    }
}
