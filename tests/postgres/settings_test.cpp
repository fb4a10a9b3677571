// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// What an administrator sets for a role, and what other users put into the database.
#include <escqrs/postgres/event_store.hpp>
#include <escqrs/postgres/lease.hpp>
#include <escqrs/postgres/read_model.hpp>

#include <escqrs/testing/catch2.hpp>
#include <escqrs/testing/detail/sample_events.hpp>

#include "postgres/server.hpp"

#include <chrono>
#include <cstdint>
#include <future>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace std::chrono_literals;
using namespace escqrs::testing::detail;
using namespace escqrs::postgres;
using escqrs::EventFilter;
using escqrs::ExpectedVersion;
using escqrs::StreamVersion;
using postgres_test::Server;

std::int64_t number(Connection& connection, const std::string& sql)
{
    Statement statement{connection, sql};
    auto rows = statement.query();
    return rows.next() ? rows.integer(0) : -1;
}

/// A separate role for which `settings` hold.
struct Role {
    explicit Role(const std::vector<std::string>& settings)
    {
        owner.execute("CREATE ROLE " + name + " LOGIN SUPERUSER");
        for (const std::string& setting : settings) owner.execute("ALTER ROLE " + name + " SET " + setting);
    }

    EventStore open(bool prepares_statements = true) const
    {
        return EventStore{address, {.schema = schema, .connection = {.prepares_statements = prepares_statements}}};
    }

    std::string schema = Server::shared().new_schema();
    std::string name = schema + "_role";
    std::string address = Server::shared().address(name) + "?application_name=" + schema;
    Connection owner{Server::shared().address()};
};

} // namespace

TEST_CASE("texts are UTF-8, whatever encoding the role, the connection string or the environment asks for")
{
    const Role role{{"client_encoding = 'latin1'"}};
    const std::string options = GENERATE("", "&client_encoding=GBK", "&options=-c%20client_encoding%3Dlatin1");
    const bool prepares_statements = GENERATE(true, false);
    const std::string name = "m\u00fcller \u4e16\u754c";
    EventStore store{role.address + options,
                     {.schema = role.schema, .connection = {.prepares_statements = prepares_statements}}};
    append_some(store, sample_stream(name), 1);
    EventStore other{Server::shared().address(), {.schema = role.schema}};
    CHECK_THROWS_AS(append(other, sample_stream(name), ExpectedVersion::no_stream(), {{}}), escqrs::ConcurrencyError);
    CHECK(read_log(other).back().stream == sample_stream(name));
    Connection connection{role.address + options};
    Statement length{connection, "SELECT char_length($1)"};
    for (int time = 0; time < 2; ++time) { // also when the connection is made again
        auto rows = length.query("\u4e16\u754c");
        REQUIRE(rows.next());
        CHECK(rows.integer(0) == 2);
        connection.close();
    }
}

TEST_CASE("no text of a filter or a stream's name is read as SQL")
{
    const Role role{{"client_encoding = 'GBK'", "backslash_quote = 'on'", "standard_conforming_strings = 'off'",
                     "escape_string_warning = 'off'"}};
    auto store = role.open();
    const std::string quote = "it's \\' \" $1 {s}";
    append_some(store, sample_stream(quote), 3'000);
    append_some(store, escqrs::StreamId{"a'b\\", "c"}, 100);
    CHECK(read_stream(store, sample_stream(quote)).size() == 3'000);
    const auto shown = [&](const EventFilter& filter) {
        std::size_t count = 0;
        store.read_log({}, 10'000, filter, [&](const auto&) { return ++count > 0; });
        return count;
    };
    CHECK(shown({.categories = {"a'b\\"}}) == 100);
    CHECK(shown({.types = {"x') OR type NOT IN (chr(1)))) --", "\\') OR type NOT IN (chr(1)))) --"}}) == 0);
    CHECK_THROWS_AS(shown({.types = {"\xbf') OR type NOT IN (chr(1)))) --"}}), escqrs::StoreError); // no UTF-8
}

TEST_CASE("a sink takes its time, whatever patience the server has with statements")
{
    const bool prepares_statements = GENERATE(true, false); // where nothing can be set, the page is read again
    const Role role{{"statement_timeout = '300ms'", "idle_in_transaction_session_timeout = '300ms'"}};
    auto store = role.open(prepares_statements);
    constexpr std::size_t count = 600;
    std::vector<SampleEvent> events(20);
    for (std::size_t stored = 0; stored < count; stored += events.size()) {
        for (SampleEvent& event : events) {
            event.id = escqrs::EventId{escqrs::random_uuid()};
            event.payload.assign(50'000, std::byte{'p'}); // pages that the network does not hold
        }
        append(store, sample_stream(), ExpectedVersion::any(), events);
    }
    Connection watcher{Server::shared().address()};
    const std::string waits = "SELECT count(*) FROM pg_stat_activity WHERE application_name = '" + role.schema +
                              "' AND state = 'active' AND query LIKE 'COPY%' AND "
                              "clock_timestamp() - query_start < interval '600 ms'";
    std::uint64_t version = 0;
    bool in_order = true;
    const auto show = [&](const escqrs::RecordedEvent& event) {
        in_order = in_order && event.version.value() == ++version;
        // Until the server has sent the next page, or waited with it for longer than it may.
        if (version % 100 == 1)
            while (number(watcher, waits) > 0) std::this_thread::sleep_for(5ms);
        return true;
    };
    store.read_stream(sample_stream(), StreamVersion{1}, show);
    CHECK(version == count);
    version = 0;
    store.read_log({}, 10'000, show);
    CHECK(version == count);
    CHECK(in_order);
}

TEST_CASE("an append at any version waits for its stream, whatever patience the server has")
{
    const bool prepares_statements = GENERATE(true, false); // where nothing can be set, it is sent again
    const std::string setting = GENERATE("lock_timeout = '50ms'", "statement_timeout = '200ms'");
    const Role role{{setting}};
    auto store = role.open(prepares_statements);
    std::future<escqrs::AppendResult> appended;
    {
        Connection obstacle{Server::shared().address()};
        const Transaction transaction{obstacle};
        obstacle.execute("SELECT pg_advisory_xact_lock('" + role.schema +
                         ".streams'::regclass::oid::bigint::"
                         "bit(32)::integer, hashtext('" +
                         sample_stream().text() + "'))");
        appended = std::async(std::launch::async,
                              [&] { return append(store, sample_stream(), ExpectedVersion::any(), {{}}); });
        // It has waited for longer than it may, or was sent again.
        Connection watcher{Server::shared().address()};
        const std::string waits = "SELECT count(*) FROM pg_stat_activity WHERE application_name = '" + role.schema +
                                  "' AND wait_event = 'advisory'";
        const std::string waits_long = waits + " AND clock_timestamp() - query_start > interval '400 ms'";
        for (int sent = 0, before = 0; sent < 3 && number(watcher, waits_long) == 0;) {
            const int now = static_cast<int>(number(watcher, waits));
            if (now > before) ++sent;
            before = now;
            std::this_thread::sleep_for(2ms);
        }
    }
    CHECK(appended.get().version == StreamVersion{1});
    CHECK(count_events(store) == 1);
}

TEST_CASE("what isolation the role's transactions have by default changes nothing")
{
    const Role role{{GENERATE("default_transaction_isolation = 'serializable'",
                              "default_transaction_isolation = 'repeatable read'")}};
    auto store = role.open();
    append_some(store, sample_stream(), 1);
    append_some(store, sample_stream(), 2);
    CHECK(read_log(store).size() == 3);
    CHECK(store.head() == escqrs::GlobalPosition{3});
    Connection connection{role.address};
    const Transaction transaction{connection};
    CHECK(number(connection, "SELECT (current_setting('transaction_isolation') = 'read committed')::integer") == 1);
}

TEST_CASE("nothing that others have put into the schema public runs with the application's rights")
{
    const bool prepares_statements = GENERATE(true, false);
    Connection server{Server::shared().address()};
    const std::string database = Server::shared().new_schema() + "_trapped";
    server.execute("CREATE DATABASE " + database);
    std::string address = Server::shared().address();
    address.replace(address.rfind('/') + 1, std::string::npos, database);
    // Each is nearer to some use of the name than PostgreSQL's own, unless the use says which one it means.
    Connection other{address};
    const char* const traps[] = {
        "unnest(uuid[]) RETURNS SETOF uuid",
        "unnest(integer[]) RETURNS SETOF integer",
        "unnest(bigint[]) RETURNS SETOF bigint",
        "unnest(text[]) RETURNS SETOF text",
        "array_replace(bigint[], bigint, bigint) RETURNS bigint[]",
        "array_agg(bigint) RETURNS bigint[]",
        "pg_sequence_last_value(text) RETURNS bigint",
        "nextval(text) RETURNS bigint",
        "setval(text, bigint) RETURNS bigint",
        "hashtextextended(text, integer) RETURNS bigint",
        "format(text, text, regclass, text) RETURNS text",
        "bool_and(integer) RETURNS boolean",
        "times(bigint, interval) RETURNS interval",
        "joined(text, bigint) RETURNS text",
        "equals(oid, integer) RETURNS boolean",
    };
    for (const char* const trap : traps) {
        other.execute(std::string{"CREATE FUNCTION public."} + trap +
                      " LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped'; END $$");
    }
    other.execute("CREATE OPERATOR public.* (FUNCTION = public.times, LEFTARG = bigint, RIGHTARG = interval); "
                  "CREATE OPERATOR public.|| (FUNCTION = public.joined, LEFTARG = text, RIGHTARG = bigint); "
                  "CREATE OPERATOR public.= (FUNCTION = public.equals, LEFTARG = oid, RIGHTARG = integer)");
    {
        EventStore store{address, {.connection = {.prepares_statements = prepares_statements}}};
        const std::vector<SampleEvent> events(2);
        for (int time = 0; time < 2; ++time) append(store, sample_stream(), ExpectedVersion::any(), events);
        for (int count = 0; count < 3; ++count) append_some(store, sample_stream(), 1);
        CHECK_THROWS_AS(append(store, sample_stream(), ExpectedVersion::no_stream(), {{}}), escqrs::ConcurrencyError);
        append_some(store, sample_stream("two"), 3'000);
        CHECK(read_stream(store, sample_stream("two")).size() == 3'000);
        CHECK(read_log(store).size() == 3'005);
        store.write_snapshot(sample_stream(), {StreamVersion{3}, 1, "x", {}});
        CHECK(store.read_snapshot(sample_stream(), [](const escqrs::Snapshot&) {}));
        CHECK(store.locate(events[0].id));
        const escqrs::GlobalPosition last = store.head();
        other.execute("ALTER SEQUENCE escqrs.positions RESTART WITH 5");
        EventStore repaired{address, {.connection = {.prepares_statements = prepares_statements}}};
        append_some(repaired, sample_stream(), 1);
        CHECK(read_log(repaired, last).size() == 1);
    }
    {
        Connection connection{address, {.prepares_statements = prepares_statements}};
        Lease lease{connection, "work"};
        CHECK(lease.acquire());
        for (unsigned version = 1; version <= 2; ++version) {
            ReadModel model{connection,
                            {.name = "model",
                             .version = version,
                             .tables = {"things"},
                             .sql = "CREATE TABLE {s}.things{v} (n integer)"}};
            connection.execute("GRANT SELECT ON escqrs.things TO PUBLIC");
            (void)model.parking_lot().is_empty();
            (void)model.parking_lot().find(sample_stream());
            model.begin().commit(escqrs::GlobalPosition{version});
            CHECK(LiveReadModel{connection, "model"}.version() == version);
        }
        StreamCheckpoint checkpoint{connection, "model"};
        const Transaction transaction{connection};
        CHECK(checkpoint.advance(sample_stream(), StreamVersion{1}) == escqrs::Advance::apply);
    }
    other.close();
    server.execute("DROP DATABASE " + database + " WITH (FORCE)");
}
