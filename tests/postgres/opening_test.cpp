// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// What opening a store finds: schemas of other versions, and sequences that are not the log's.
#include <escqrs/postgres/event_store.hpp>

#include <escqrs/testing/catch2.hpp>
#include <escqrs/testing/detail/sample_events.hpp>

#include "postgres/server.hpp"

#include <cstdint>
#include <fstream>
#include <sstream>
#include <string>

namespace {

using namespace escqrs::testing::detail;
using namespace escqrs::postgres;
using escqrs::ExpectedVersion;
using escqrs::GlobalPosition;
using escqrs::StoreError;
using escqrs::StreamVersion;
using postgres_test::Server;

struct Place {
    EventStore open(EventStoreOptions options = {}) const
    {
        options.schema = schema;
        return EventStore{address, options};
    }
    void change(const std::string& sql) { owner.execute(with_schema(sql, schema)); }
    std::int64_t number(const std::string& sql)
    {
        Statement statement{owner, with_schema(sql, schema)};
        auto rows = statement.query();
        return rows.next() ? rows.integer(0) : -1;
    }

    std::string schema = Server::shared().new_schema();
    std::string address = Server::shared().address();
    Connection owner{address};
};

/// As version 1 made it.
void make_first_version(Place& place, std::uint64_t partition_size)
{
    place.change(
        "CREATE SCHEMA {s}; CREATE TABLE {s}.schema_versions (part text PRIMARY KEY, version integer NOT NULL); "
        "INSERT INTO {s}.schema_versions VALUES ('event store', 1)");
    place.change(escqrs::postgres::detail::create_event_log(partition_size));
    for (int count = 1; count <= 3; ++count) {
        place.change(
            "SELECT {s}.append_one('sample-one', -1, gen_random_uuid(), {s}.kind('SampleHappened', 1, 'x'), '', "
            "'payload', now())");
    }
}

constexpr const char* drawn = "SELECT pg_sequence_last_value('{s}.positions')";

} // namespace

TEST_CASE("a store of the schema's first version is upgraded, and keeps what it holds")
{
    const std::uint64_t partition_size = GENERATE(0U, 10'000U);
    Place place;
    make_first_version(place, partition_size);
    auto store = place.open();
    CHECK(place.number("SELECT version FROM {s}.schema_versions") > 1);
    CHECK(read_stream(store, sample_stream()).size() == 3);
    append_some(store, sample_stream(), 2);
    append_some(store, sample_stream(), 1);
    CHECK(read_log(store).size() == 6);
    CHECK(store.head() == GlobalPosition{6});
    CHECK(place.number("SELECT seqmax FROM pg_sequence WHERE seqrelid = '{s}.positions'::regclass") ==
          (std::int64_t{1} << 48) - 1);
}

TEST_CASE("a schema that a development version made is refused, since it only says that it is of the first version")
{
    const std::string form = GENERATE("33cd7fb", "4217f4e");
    Place place;
    make_first_version(place, 0);
    std::stringstream difference;
    difference << std::ifstream{std::string{ESCQRS_POSTGRES_FORMS} + '/' + form + ".sql"}.rdbuf();
    REQUIRE_FALSE(difference.str().empty());
    place.change(difference.str());
    CHECK_THROWS_WITH(place.open(), Catch::Contains("schema '" + place.schema + "'") &&
                                        Catch::Contains("expected the 7 functions of version 1, found " +
                                                        std::string{form == "33cd7fb" ? "4" : "6"}));
    CHECK(place.number("SELECT version FROM {s}.schema_versions") == 1);
    CHECK(place.number("SELECT count(*) FROM {s}.events") == 3);
}

TEST_CASE("a sequence that lags the log, as after logical replication, is corrected when the store is opened")
{
    const std::uint64_t partition_size = GENERATE(0U, 10'000U);
    const std::string change =
        GENERATE("SELECT setval('{s}.positions', 3)", "SELECT setval('{s}.positions', 0, false)",
                 "SELECT setval('{s}.positions', 11, false)", "ALTER SEQUENCE {s}.positions INCREMENT -1 MAXVALUE 10",
                 "ALTER SEQUENCE {s}.positions MAXVALUE 1000000000000000000 CYCLE");
    Place place;
    {
        auto store = place.open({.partition_size = partition_size});
        append_some(store, sample_stream(), 10);
    }
    place.change(change);
    auto store = place.open();
    CHECK(place.number(drawn) == 10);
    append_some(store, sample_stream(), 1);
    append_some(store, sample_stream("two"), 1);
    append_some(store, sample_stream(), 3);
    const auto log = read_log(store);
    REQUIRE(log.size() == 15);
    CHECK(log.back().position == GlobalPosition{15});
    CHECK(log[10].content.id == read_stream(store, sample_stream(), StreamVersion{11}).front().content.id);
    place.change("SELECT setval('{s}.positions', 100)"); // ahead it may be
    auto ahead = place.open();
    append_some(ahead, sample_stream(), 1);
    CHECK(ahead.head() == GlobalPosition{101});
}

TEST_CASE("the sequences of streams and kinds are set right as well")
{
    Place place;
    {
        auto store = place.open();
        for (int number = 0; number < 5; ++number) append_some(store, sample_stream(std::to_string(number)), 1);
        append(store, sample_stream("0"), ExpectedVersion::any(), {{.type = "OtherHappened"}});
    }
    place.change("ALTER TABLE {s}.streams ALTER id RESTART; ALTER TABLE {s}.event_kinds ALTER id RESTART");
    auto store = place.open();
    append(store, sample_stream("new"), ExpectedVersion::no_stream(), {{.type = "NewHappened"}});
    CHECK(place.number("SELECT id FROM {s}.streams WHERE name = 'sample-new'") == 6);
    CHECK(place.number("SELECT id FROM {s}.event_kinds WHERE type = 'NewHappened'") == 3);
    CHECK(read_log(store).back().position == GlobalPosition{7}); // at the first attempt
}

TEST_CASE("a sequence from which positions come out of order, or that only the owner can set right, is refused by name")
{
    Place place;
    {
        auto store = place.open();
        append_some(store, sample_stream(), 10);
    }
    place.change("ALTER SEQUENCE {s}.positions CACHE 10");
    CHECK_THROWS_WITH(place.open(), Catch::Contains("sequence positions: expected CACHE 1, found more"));
    place.change("ALTER SEQUENCE {s}.positions CACHE 1; SELECT setval('{s}.positions', 4)");
    const std::string role = place.schema + "_application";
    place.owner.execute("CREATE ROLE " + role + " LOGIN");
    grant_event_store(place.owner, place.schema, role);
    Place application{place.schema, Server::shared().address(role), Connection{Server::shared().address(role)}};
    CHECK_THROWS_WITH(application.open(),
                      Catch::Contains("schema '" + place.schema + "'") &&
                          Catch::Contains("expected a last value of at least 10, that of the last event, found 4"));
    CHECK(place.number(drawn) == 4);
    (void)place.open();
    auto store = application.open();
    append_some(store, sample_stream(), 1);
    CHECK(store.head() == GlobalPosition{11});
}

TEST_CASE("a sequence that is set back under an open store, or has come to its end, is an error of the store")
{
    Place place;
    auto store = place.open();
    append_some(store, sample_stream(), 1);
    place.change("SELECT setval('{s}.positions', 1, false)");
    CHECK_THROWS_AS(append_some(store, sample_stream("two"), 1), StoreError);
    CHECK_THROWS_AS(append_some(store, sample_stream(), 1), StoreError);
    CHECK_THROWS_AS(append_some(store, sample_stream(), 3), StoreError);
    place.change("SELECT setval('{s}.positions', (1::bigint << 48) - 1)");
    CHECK_THROWS_AS(append_some(store, sample_stream("two"), 1), StoreError);
    CHECK(count_events(store) == 1);
}
