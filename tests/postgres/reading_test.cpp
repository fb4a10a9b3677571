// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// Readers of one store whose connections, server or settings change while they read.
#include <escqrs/postgres/event_store.hpp>

#include <escqrs/testing/catch2.hpp>
#include <escqrs/testing/detail/sample_events.hpp>

#include "postgres/server.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace std::chrono_literals;
using namespace escqrs::testing::detail;
using namespace escqrs::postgres;
using escqrs::EventFilter;
using escqrs::GlobalPosition;
using escqrs::RecordedEvent;
using escqrs::StreamVersion;
using postgres_test::Server;

struct Place {
    EventStore open(EventStoreOptions options = {}) const
    {
        options.schema = schema;
        options.notifies = false;
        return EventStore{address, options};
    }

    /// Ends the connections of stores that were opened here whose last statement was like `pattern`.
    std::int64_t terminate(const std::string& pattern = "%")
    {
        Statement end{owner,
                      "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = $1 "
                      "AND query LIKE $2"};
        auto rows = end.query(schema, pattern);
        rows.next();
        return rows.integer(0);
    }
    void change(const std::string& sql) { owner.execute(with_schema(sql, schema)); }

    std::string schema = Server::shared().new_schema();
    std::string address = Server::shared().address() + "?application_name=" + schema;
    Connection owner{Server::shared().address()};
};

std::vector<std::string> types_of(const std::vector<StoredEvent>& events)
{
    std::vector<std::string> types;
    for (const StoredEvent& event : events) types.push_back(event.content.type);
    return types;
}

} // namespace

TEST_CASE("a page that was begun before other events can be read does not pass for all of them")
{
    const EventFilter filter = GENERATE(EventFilter{}, EventFilter{.categories = {"sample"}});
    const auto begun = GENERATE(std::size_t{200}, std::size_t{3'000});
    Place place;
    auto store = place.open();
    append_some(store, sample_stream(), begun);
    CHECK(read_log(store, {}, 100).size() == 100);
    std::uint64_t last = 0;
    std::uint64_t shown = 0;
    const auto reached = store.read_log({}, 100'000, filter, [&](const RecordedEvent& event) {
        last = event.position.value();
        // While the next page is under way on one connection, another one is lost, which a call notices.
        if (++shown == 1) {
            (void)store.locate(event.id);
            CHECK(place.terminate("%event_keys k JOIN%") == 1);
            CHECK(store.locate(event.id));
            append_some(store, sample_stream(), 50);
            CHECK(store.head() == GlobalPosition{begun + 50});
        }
        return true;
    });
    CHECK(shown == last);
    CHECK(reached == GlobalPosition{last});
    CHECK(read_log(store, reached).size() == begun + 50 - last);
}

TEST_CASE("readers that share a store, with slow sinks and connections that are terminated, each see the log as it is")
{
    Place place;
    auto store = place.open({.max_readers = 3});
    constexpr std::size_t readers = 6;
    constexpr std::size_t appends = 600;
    std::atomic<bool> is_writing{true};
    std::vector<std::vector<std::uint64_t>> seen(readers);
    std::vector<std::jthread> threads;
    for (std::size_t number = 0; number < readers; ++number) {
        threads.emplace_back([&, number] {
            const EventFilter filter = number % 2 == 0 ? EventFilter{} : EventFilter{.types = {"SampleHappened"}};
            GlobalPosition position;
            for (bool goes_on = true; goes_on;) {
                goes_on = is_writing || position < store.head();
                position = store.read_log(position, 10'000, filter, [&](const RecordedEvent& event) {
                    if (seen[number].size() % 100 == number) std::this_thread::sleep_for(2ms);
                    seen[number].push_back(event.position.value());
                    return true;
                });
            }
        });
    }
    threads.emplace_back([&] {
        for (std::size_t count = 0; count < appends; ++count)
            append_some(store, sample_stream(std::to_string(count % 7)), 1 + count % 20);
        is_writing = false;
    });
    std::int64_t terminated = 0;
    while (is_writing) {
        terminated += place.terminate("%COPY%");
        terminated += place.terminate("%readable_until%");
        std::this_thread::sleep_for(10ms);
    }
    threads.clear();
    CHECK(terminated > 0);
    std::vector<std::uint64_t> stored;
    for (const StoredEvent& event : read_log(store)) stored.push_back(event.position.value());
    for (const auto& positions : seen) CHECK(positions == stored);
}

TEST_CASE("a log or stream that loses its end while it is read is not read beyond that")
{
    Place place;
    auto store = place.open();
    append_some(store, sample_stream(), 5'000);
    const bool is_lost = GENERATE(true, false);
    std::size_t shown = 0;
    const auto sink = [&](const RecordedEvent& event) {
        if (++shown != 1) return true;
        // As after a failover: connections lead to a server that does not hold the last events, and takes others.
        CHECK(place.terminate() > 0);
        if (is_lost) {
            place.change("SET session_replication_role = replica"); // no trigger refuses it
            place.change("DELETE FROM {s}.events WHERE position > 50");
            place.change("DELETE FROM {s}.event_keys WHERE position > 50");
        }
        append_some(store, sample_stream("other"), 5);
        CHECK(event.version == StreamVersion{1});
        return true;
    };
    const auto read = GENERATE(0, 1, 2);
    const EventFilter filter = read == 1 ? EventFilter{.types = {"SampleHappened"}} : EventFilter{};
    const auto read_all = [&] {
        if (read == 2) store.read_stream(sample_stream(), StreamVersion{1}, sink);
        else store.read_log({}, 100'000, filter, sink);
    };
    if (is_lost) {
        CHECK_THROWS_WITH(read_all(),
                          Catch::Matchers::Contains("the log has changed while it was read: expected event") &&
                              Catch::Matchers::Contains("found it nowhere"));
        CHECK(shown < 5'000);
    } else {
        CHECK_NOTHROW(read_all());
        CHECK(shown == (read == 2 ? 5'000U : 5'005U));
    }
}

TEST_CASE("what kind of event a number stands for is forgotten with the connection")
{
    Place place;
    auto store = place.open();
    append_some(store, sample_stream(), 3);
    CHECK(types_of(read_log(store)) == std::vector<std::string>(3, "SampleHappened"));
    // As after a failover that lost the last events: the numbers are given to others.
    place.change("UPDATE {s}.event_kinds SET type = 'OtherHappened'");
    CHECK(place.terminate() > 0);
    CHECK(types_of(read_log(store)) == std::vector<std::string>(3, "OtherHappened"));
    CHECK(types_of(read_stream(store, sample_stream())) == std::vector<std::string>(3, "OtherHappened"));
    append_some(store, sample_stream(), 1);
    append_some(store, sample_stream(), 2);
    CHECK(types_of(read_log(store, GlobalPosition{3})) == std::vector<std::string>(3, "SampleHappened"));
}

TEST_CASE("behind a PgBouncer, where the server may change unseen, the kinds of events are looked up each time")
{
    Place place;
    auto store = place.open({.connection = {.prepares_statements = false}});
    append_some(store, sample_stream(), 1);
    append_some(store, sample_stream(), 2);
    CHECK(types_of(read_log(store)) == std::vector<std::string>(3, "SampleHappened"));
    place.change("UPDATE {s}.event_kinds SET type = 'OtherHappened'");
    CHECK(types_of(read_log(store)) == std::vector<std::string>(3, "OtherHappened"));
    append_some(store, sample_stream(), 1);
    append(store, sample_stream(), escqrs::ExpectedVersion::exactly(StreamVersion{4}), {{}});
    append_some(store, sample_stream("two"), 2);
    place.change("UPDATE {s}.event_kinds SET type = 'AnotherHappened' WHERE type = 'SampleHappened'");
    append(store, sample_stream("two"), escqrs::ExpectedVersion::any(), {{}, {.type = "OtherHappened"}, {}});
    CHECK(types_of(read_stream(store, sample_stream("two"))) ==
          std::vector<std::string>{"AnotherHappened", "AnotherHappened", "SampleHappened", "OtherHappened",
                                   "SampleHappened"});
    std::vector<std::string> log = types_of(read_log(store, GlobalPosition{3}, 2));
    CHECK(log == std::vector<std::string>(2, "AnotherHappened"));
}
