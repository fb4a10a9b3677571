// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// Server processes that are stopped: their connections stay up, and TCP notices nothing.
#include <escqrs/postgres/checkpoint.hpp>
#include <escqrs/postgres/event_store.hpp>
#include <escqrs/postgres/lease.hpp>

#include <escqrs/testing/catch2.hpp>
#include <escqrs/testing/detail/sample_events.hpp>

#include "postgres/server.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <sys/types.h>
#include <thread>
#include <vector>

namespace {

using namespace std::chrono_literals;
using namespace escqrs::testing::detail;
using namespace escqrs::postgres;
using escqrs::GlobalPosition;
using escqrs::StreamVersion;
using postgres_test::Server;

/// Server processes that stand still as long as this lives.
class Stopped {
public:
    explicit Stopped(std::vector<pid_t> processes) : processes_{std::move(processes)}
    {
        for (const pid_t process : processes_) (void)kill(process, SIGSTOP);
    }
    Stopped(const Stopped&) = delete;
    Stopped& operator=(const Stopped&) = delete;
    ~Stopped()
    {
        for (const pid_t process : processes_) (void)kill(process, SIGCONT);
    }

private:
    std::vector<pid_t> processes_;
};

struct Place {
    EventStore open(EventStoreOptions options = {})
    {
        options.schema = schema;
        options.notifies = false;
        options.connection.answer_timeout = 200ms;
        return EventStore{Server::shared().address() + "?application_name=" + schema, options};
    }

    /// The processes that serve stores which were opened here.
    std::vector<pid_t> backends()
    {
        std::vector<pid_t> found;
        auto rows = select_.query(schema);
        while (rows.next()) found.push_back(static_cast<pid_t>(rows.integer(0)));
        return found;
    }

    std::string schema = Server::shared().new_schema();

private:
    Connection watcher_{Server::shared().address()};
    Statement select_{watcher_, "SELECT pid FROM pg_stat_activity WHERE application_name = $1"};
};

} // namespace

TEST_CASE("an append to a server process that is stopped goes over another connection, and is stored once")
{
    const auto size = GENERATE(std::size_t{1}, std::size_t{3});
    constexpr std::size_t threads = 4;
    Place place;
    auto store = place.open();
    for (std::size_t number = 0; number < threads; ++number)
        append_some(store, sample_stream(std::to_string(number)), size);
    const auto before = place.backends();
    {
        const Stopped stopped{before};
        std::vector<std::jthread> writers;
        for (std::size_t number = 0; number < threads; ++number) {
            writers.emplace_back([&, number] { append_some(store, sample_stream(std::to_string(number)), size); });
        }
    }
    // It finishes what was sent to it, and ends.
    const auto has_ended = [&](pid_t process) { return std::ranges::count(place.backends(), process) == 0; };
    while (!std::ranges::all_of(before, has_ended)) std::this_thread::sleep_for(5ms);
    CHECK(count_events(store) == 2 * threads * size);
    CHECK(store.head() == read_log(store).back().position);
}

TEST_CASE("a read from a server process that is stopped continues over another connection")
{
    Place place;
    auto store = place.open();
    append_some(store, sample_stream(), 5'000);
    REQUIRE(read_stream(store, sample_stream()).size() == 5'000);
    const auto stop_all = [&] { return Stopped{place.backends()}; };
    SECTION("a stream")
    {
        const Stopped stopped = stop_all();
        CHECK(read_stream(store, sample_stream()).size() == 5'000);
    }
    SECTION("the log")
    {
        const Stopped stopped = stop_all();
        CHECK(read_log(store).size() == 5'000);
    }
    SECTION("what else there is to ask")
    {
        const Stopped stopped = stop_all();
        CHECK(store.head() == GlobalPosition{5'000});
        CHECK(store.wait_for_events({}, 0s, {}));
        store.write_snapshot(sample_stream(), {StreamVersion{3}, 1, "x", {}});
        CHECK(store.read_snapshot(sample_stream(), [](const escqrs::Snapshot&) {}));
    }
    SECTION("the page that is sent while another is shown")
    {
        std::vector<std::unique_ptr<Stopped>> stopped;
        std::uint64_t shown = 0;
        bool in_order = true;
        const auto show = [&](const escqrs::RecordedEvent& event) {
            in_order = in_order && event.version.value() == ++shown;
            if (shown % 1'000 == 100) stopped.push_back(std::make_unique<Stopped>(place.backends()));
            return true;
        };
        store.read_stream(sample_stream(), StreamVersion{1}, show);
        CHECK(shown == 5'000);
        shown = 0;
        store.read_log({}, 10'000, show);
        CHECK(shown == 5'000);
        CHECK(in_order);
    }
}

TEST_CASE("what a connection asks of a server process that is stopped fails, and the next one is another's")
{
    Connection connection{Server::shared().address(), {.answer_timeout = 200ms}};
    const std::string schema = Server::shared().new_schema();
    Checkpoint checkpoint{connection, "model", schema};
    Lease lease{connection, "work", {.schema = schema}};
    checkpoint.save(GlobalPosition{1});
    const auto stop = [&] { return Stopped{{PQbackendPID(connection.handle())}}; };
    {
        const Stopped stopped = stop();
        CHECK_THROWS_WITH(checkpoint.load(), Catch::Contains("the server has not answered within 200 ms"));
        CHECK(checkpoint.load() == GlobalPosition{1});
    }
    {
        const Stopped stopped = stop();
        CHECK_THROWS_AS(lease.acquire(), ConnectionLost);
        CHECK(lease.acquire());
    }
    {
        const Stopped stopped = stop();
        const std::string large(50'000'000, ' '); // more than the network holds
        CHECK_THROWS_AS(connection.execute(large + "SELECT 1"), ConnectionLost);
    }
    {
        std::optional<Stopped> stopped;
        {
            auto transaction = checkpoint.begin();
            stopped.emplace(std::vector<pid_t>{PQbackendPID(connection.handle())});
            CHECK_THROWS_AS(transaction.commit(GlobalPosition{2}), ConnectionLost);
            CHECK_THROWS_AS(checkpoint.save(GlobalPosition{2}), ConnectionLost); // still within the transaction
        }
        CHECK(checkpoint.load() == GlobalPosition{1});
    }
    CHECK_THROWS_WITH((Connection{Server::shared().address(), {.answer_timeout = 0ms}}),
                      Catch::Contains("answer_timeout: expected at least 1 us, found 0 us"));
    connection.set_answer_timeout(escqrs::Duration::max());
    connection.execute("SELECT 1");
}

TEST_CASE("a server that is stopped as a whole is waited for neither when it is connected to nor when it is to cancel")
{
    Server server;
    Connection connection{server.address(), {.answer_timeout = 200ms}};
    Statement select{connection, "SELECT split_part(pg_read_file('postmaster.pid'), E'\\n', 1)::integer"};
    auto rows = select.query();
    REQUIRE(rows.next());
    const Stopped stopped{{static_cast<pid_t>(rows.integer(0))}};
    connection.cancel();
    CHECK(connection.is_lost());
    CHECK_THROWS_AS(connection.execute("SELECT 1"), ConnectionLost);
}
