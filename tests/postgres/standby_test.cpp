// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <escqrs/postgres/event_store.hpp>

#include <escqrs/in_memory/checkpoint.hpp>
#include <escqrs/projections/subscription.hpp>
#include <escqrs/testing/catch2.hpp>
#include <escqrs/testing/detail/sample_events.hpp>

#include "postgres/server.hpp"

#include <chrono>
#include <string>
#include <thread>

namespace {

using namespace std::chrono_literals;
using namespace escqrs::testing::detail;
using escqrs::GlobalPosition;
using escqrs::postgres::Connection;
using escqrs::postgres::EventStore;
using escqrs::postgres::Statement;
using postgres_test::Server;

std::int64_t number(Connection& connection, const std::string& sql)
{
    Statement statement{connection, sql};
    auto rows = statement.query();
    return rows.next() ? rows.integer(0) : -1;
}

void wait_for_replay(const Server& standby, std::int64_t events)
{
    Connection connection{standby.address()};
    while (number(connection, "SELECT count(*) FROM escqrs.events") < events) std::this_thread::sleep_for(10ms);
}

} // namespace

TEST_CASE("a standby is refused: it does not know who is writing")
{
    Server primary;
    EventStore store{primary.address()};
    append_some(store, sample_stream(), 5);
    Server standby{Server::StandbyOf{primary}};
    wait_for_replay(standby, 5);
    CHECK_THROWS_WITH(EventStore{standby.address()}, Catch::Contains("expected the primary server, found a standby"));
    Connection connection{standby.address()};
    CHECK_THROWS_WITH(connection.execute("SELECT escqrs.readable_until()"), Catch::Contains("primary"));
}

TEST_CASE("after a failover that lost events the store continues from those that are left")
{
    Server primary;
    {
        EventStore made{primary.address()};
    }
    Server standby{Server::StandbyOf{primary}};
    const std::string hosts =
        "127.0.0.1:" + std::to_string(primary.port()) + ",127.0.0.1:" + std::to_string(standby.port());
    EventStore store{"postgresql://postgres@" + hosts + "/postgres?target_session_attrs=read-write"};
    append_some(store, sample_stream(), 5);
    wait_for_replay(standby, 5);
    standby.stop(false);
    for (int count = 0; count < 60; ++count) append_some(store, sample_stream(), 1);
    CHECK(read_log(store).size() == 65);
    escqrs::in_memory::Checkpoint place;
    escqrs::Subscription subscription{store, place};
    const auto ignore = [](const escqrs::RecordedEvent&) {};
    CHECK(subscription.catch_up(ignore) == GlobalPosition{65});

    primary.stop(true);
    standby.start();
    Connection{standby.address()}.execute("SELECT pg_promote()");
    append_some(store, sample_stream(), 1);
    const auto seen = read_log(store);
    REQUIRE(seen.size() == 6);
    CHECK(seen.back().version == escqrs::StreamVersion{6});
    CHECK(seen.back().position < GlobalPosition{65}); // a position once more, of an event that was lost
    const GlobalPosition reached = store.read_log(GlobalPosition{5}, 1000, [](const auto&) { return true; });
    CHECK(reached == seen.back().position);

    // Nor does a reader go by what the new server has at and below its checkpoint.
    CHECK_THROWS_AS(subscription.catch_up(ignore), escqrs::LogMismatch);
    for (int count = 0; count < 70; ++count) append_some(store, sample_stream(), 1);
    CHECK(store.head() > GlobalPosition{65});
    CHECK_THROWS_AS(subscription.catch_up(ignore), escqrs::LogMismatch);
    CHECK(place.load() == GlobalPosition{65});
}
