// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// A network that has frozen: connections stay up, TCP acknowledges, and nothing answers, nor does it on new connections.
#include <escqrs/postgres/checkpoint.hpp>
#include <escqrs/postgres/connection_pool.hpp>
#include <escqrs/postgres/event_store.hpp>

#include <escqrs/testing/catch2.hpp>
#include <escqrs/testing/detail/sample_events.hpp>

#include "postgres/server.hpp"
#include "support/tcp_proxy.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <future>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace std::chrono_literals;
using namespace escqrs::testing::detail;
using namespace escqrs::postgres;
using escqrs::ExpectedVersion;
using escqrs::GlobalPosition;
using escqrs::StreamVersion;
using postgres_test::Server;

/// A store that is reached through a proxy, and the same one past it.
struct Place {
    /// Without TLS, so that the proxy sees what is asked; `connect_timeout=0` means to libpq: without end.
    std::string address(const std::string& tls = "disable") const
    {
        return "postgresql://postgres@127.0.0.1:" + std::to_string(proxy.port()) + "/" + Server::shared().database() +
               "?connect_timeout=0&sslmode=" + tls;
    }

    EventStore open(EventStoreOptions options = {}) const
    {
        options.schema = schema;
        options.connection.answer_timeout = 300ms;
        options.reconnect_timeout = 50ms;
        return EventStore{address(), options};
    }

    EventStore open_past_proxy() const { return EventStore{Server::shared().address(), {.schema = schema}}; }

    TcpProxy proxy{Server::shared().port()};
    std::string schema = Server::shared().new_schema();
};

} // namespace

TEST_CASE("connecting through a frozen network fails, whatever the address says and how far it has come")
{
    Place place;
    const ConnectionOptions options{.answer_timeout = 300ms};
    std::string address = place.address();
    SECTION("before anything has come back") { place.proxy.freeze(); }
    SECTION("in the TLS handshake")
    {
        address = place.address("require");
        place.proxy.freeze_after_answers(1); // "S": the server speaks TLS
    }
    SECTION("in the login") { place.proxy.freeze_after_answers(1); }
    CHECK_THROWS_WITH((Connection{address, options}),
                      Catch::Contains("127.0.0.1:" + std::to_string(place.proxy.port())) &&
                          (Catch::Contains("cannot connect: the server has not answered within") ||
                           Catch::Contains("timeout expired"))); // libpq's, on a machine that is slow at this moment
    place.proxy.thaw();
    Connection{place.address(), options}.execute("SELECT 1");
}

TEST_CASE("a connection whose stop is requested waits no longer, nor does it connect again")
{
    Place place;
    std::stop_source stop;
    const ConnectionOptions options{.answer_timeout = 1h, .stop = stop.get_token()};
    Connection connection{place.address(), options};
    place.proxy.freeze();
    auto waiting = std::async(std::launch::async, [&] { connection.execute("SELECT 1"); });
    auto connecting = std::async(std::launch::async, [&] { Connection another{place.address(), options}; });
    stop.request_stop();
    CHECK_THROWS_AS(waiting.get(), ConnectionLost);
    CHECK_THROWS_AS(connecting.get(), ConnectionLost);
    CHECK_THROWS_AS(connection.execute("SELECT 1"), ConnectionLost);
}

TEST_CASE("a pool's connections are waited for until the end of the call, or its stop")
{
    struct Session {};
    std::stop_source stop;
    ConnectionPool<Session> pool{Server::shared().address(), {}, 1, [](Connection&) { return Session{}; }};
    const auto never = [](Session&) { FAIL("there is no connection"); };
    pool.with_one([&](Session&) {
        const detail::CallLimit short_one = detail::CallLimit::within(1ms, {});
        CHECK_THROWS_WITH(pool.with_one(never, short_one), Catch::Contains("each of the 1 connections was in use"));
        auto waiting = std::async(std::launch::async, [&] {
            pool.with_one(never, detail::CallLimit::within(escqrs::Duration::max(), stop.get_token()));
        });
        stop.request_stop();
        CHECK_THROWS_AS(waiting.get(), ConnectionLost);
    });
}

TEST_CASE("calls of many threads on a frozen network all fail together, and work when it has thawed")
{
    constexpr std::size_t threads = 24; // more than there are connections: one after another would take half a minute
    Place place;
    auto store = place.open({.max_readers = 2});
    for (std::size_t number = 0; number < threads; ++number)
        append_some(store, sample_stream(std::to_string(number)), 1);
    place.proxy.freeze();
    std::atomic<std::size_t> lost{0};
    {
        std::vector<std::jthread> callers;
        for (std::size_t number = 0; number < threads; ++number) {
            callers.emplace_back([&, number] {
                const auto stream = sample_stream(std::to_string(number));
                try {
                    if (number % 2 == 0) append_some(store, stream, 1);
                    else (void)read_stream(store, stream);
                } catch (const ConnectionLost&) {
                    ++lost;
                }
            });
        }
    }
    CHECK(lost == threads);
    place.proxy.thaw();
    for (std::size_t number = 0; number < threads; ++number)
        append_some(store, sample_stream(std::to_string(number)), 1);
    CHECK(store.head() == read_log(store).back().position);
}

TEST_CASE("an append whose answer has frozen on the way fails, and its repeat finds it stored once")
{
    Place place;
    auto store = place.open();
    std::vector<SampleEvent> events(1);
    events.front().payload = bytes("the marked one");
    const auto number = GENERATE(0U, 1U); // a stream's first event, and one that follows it
    append_some(store, sample_stream("other"), 1);
    if (number > 0) append_some(store, sample_stream(), number);
    const auto expected = number == 0 ? ExpectedVersion::no_stream() : ExpectedVersion::exactly(StreamVersion{number});
    place.proxy.freeze_after_request("the marked one");
    SECTION("until it has thawed")
    {
        CHECK_THROWS_AS(append(store, sample_stream(), expected, events), ConnectionLost);
        place.proxy.thaw();
        CHECK(append(store, sample_stream(), expected, events).repeated);
    }
    SECTION("and it has thawed before the call gives up")
    {
        std::jthread rescue{[&] {
            place.proxy.wait_until_frozen();
            place.proxy.thaw();
        }};
        CHECK(append(store, sample_stream(), expected, events).version == StreamVersion{number + 1});
    }
    SECTION("and the connections were reset")
    {
        std::jthread rescue{[&] {
            place.proxy.wait_until_frozen();
            place.proxy.reset();
            place.proxy.thaw();
        }};
        CHECK(append(store, sample_stream(), expected, events).version == StreamVersion{number + 1});
    }
    auto past = place.open_past_proxy();
    CHECK(read_stream(past, sample_stream()).size() == number + 1);
}

TEST_CASE("a commit whose answer has frozen on the way fails, and was made")
{
    Place place;
    Connection connection{place.address(), {.answer_timeout = 300ms}};
    Checkpoint checkpoint{connection, "model", place.schema};
    checkpoint.save(GlobalPosition{1});
    place.proxy.freeze_after_request({"COMMIT", 7}); // with the zero byte: another statement says COMMITTED
    {
        auto transaction = checkpoint.begin();
        CHECK_THROWS_AS(transaction.commit(GlobalPosition{2}), ConnectionLost);
    }
    CHECK_THROWS_AS(checkpoint.load(), ConnectionLost);
    place.proxy.thaw();
    CHECK(checkpoint.load() == GlobalPosition{2});
}

TEST_CASE("a long read that freezes midway fails, or continues when the network has thawed, and shows each event once")
{
    Place place;
    auto store = place.open();
    constexpr std::uint64_t count = 5'000;
    append_some(store, sample_stream(), count);
    std::uint64_t shown = 0;
    bool in_order = true;
    const auto show = [&](const escqrs::RecordedEvent& event) {
        in_order = in_order && event.version.value() == ++shown;
        return true;
    };
    const auto read = [&] {
        shown = 0;
        store.read_log({}, count, show);
    };
    const std::size_t bytes = GENERATE(1U, 100'000U, 300'000U); // in a first query, and in two pages
    place.proxy.freeze_after_answers(bytes);
    SECTION("frozen")
    {
        CHECK_THROWS_AS(read(), ConnectionLost);
        place.proxy.thaw();
        read();
    }
    SECTION("thawed")
    {
        std::jthread rescue{[&] {
            place.proxy.wait_until_frozen();
            place.proxy.thaw();
        }};
        read();
    }
    CHECK(shown == count);
    CHECK(in_order);
}

TEST_CASE("a wait for events on a frozen network can be stopped, and ends with them when it has thawed")
{
    Place place;
    std::optional<EventStore> store{std::in_place, place.address(),
                                    EventStoreOptions{.schema = place.schema, .connection = {.answer_timeout = 1h}}};
    auto past = place.open_past_proxy();
    append_some(past, sample_stream(), 1);
    REQUIRE(store->wait_for_events({}, 1h, {}));
    place.proxy.freeze();
    std::stop_source stop;
    auto stopped =
        std::async(std::launch::async, [&] { return store->wait_for_events(GlobalPosition{1}, 1h, stop.get_token()); });
    append_some(past, sample_stream(), 1);
    stop.request_stop();
    CHECK_FALSE(stopped.get());
    SECTION("thawed")
    {
        place.proxy.thaw();
        CHECK(store->wait_for_events(GlobalPosition{1}, 1h, {}));
    }
    SECTION("closed while it is frozen") { store.reset(); }
}
