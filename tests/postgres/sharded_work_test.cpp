// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <escqrs/postgres/leased_work.hpp>

#include <escqrs/testing/catch2.hpp>

#include "postgres/lease_place.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <span>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>

namespace {

using namespace std::chrono_literals;
using namespace escqrs::postgres;
using postgres_test::comes_true;
using postgres_test::Place;

/// Works on all shards that it gets, until it ends.
class Worker {
public:
    Worker(const Place& place, const std::string& name, std::size_t shards)
        : thread_{[=, this, options = place.options()](const std::stop_token& stop) {
              Connection connection{place.address};
              run_sharded(
                  connection, name, shards, stop,
                  [this](std::size_t, const Lease&, const std::stop_token& until) {
                      ++working_;
                      while (!until.stop_requested()) std::this_thread::sleep_for(2ms);
                      --working_;
                  },
                  options);
          }}
    {
    }

    int working() const { return working_; }

private:
    std::atomic<int> working_{0};
    std::jthread thread_;
};

std::int64_t count(Connection& connection, const Place& place, const std::string& what)
{
    auto rows = Statement{connection, with_schema("SELECT count(*) FROM {s}." + what, place.schema)}.query();
    return rows.next() ? rows.integer(0) : -1;
}

} // namespace

TEST_CASE("shards are spread over the living workers, each worked on by one at a time")
{
    constexpr std::size_t shards = 8;
    const Place place;
    std::array<std::atomic<int>, shards> working{};
    std::atomic<bool> doubled{false};
    std::array<std::atomic<int>, 3> held{};
    const auto worker = [&](std::size_t number) {
        return std::make_unique<std::jthread>([&, number](const std::stop_token& stop) {
            Connection connection{place.address};
            run_sharded(
                connection, "model", shards, stop,
                [&](std::size_t shard, const Lease&, const std::stop_token& until) {
                    if (++working[shard] > 1) doubled = true;
                    ++held[number];
                    while (!until.stop_requested()) std::this_thread::sleep_for(2ms);
                    --held[number];
                    --working[shard];
                },
                place.options());
        });
    };
    const auto spread = [&](int first, int second, int third) {
        return comes_true([&] {
            std::array<int, 3> found{held[0], held[1], held[2]};
            std::array<int, 3> wanted{first, second, third};
            std::ranges::sort(found);
            std::ranges::sort(wanted);
            return found == wanted;
        });
    };
    auto one = worker(0);
    CHECK(spread(8, 0, 0));
    auto two = worker(1);
    CHECK(spread(4, 4, 0));
    auto three = worker(2);
    CHECK(spread(3, 3, 2));
    one.reset();
    CHECK(spread(4, 4, 0));
    two.reset();
    three.reset();
    CHECK(spread(0, 0, 0));
    CHECK_FALSE(doubled);
}

TEST_CASE("another number of shards than the name has is refused by an error that names both, and the others continue")
{
    const Place place;
    Connection connection{place.address};
    const Worker worker{place, "model", 4};
    REQUIRE(comes_true([&] { return worker.working() == 4; }));
    bool is_begun = false;
    for (const std::size_t shards : {6U, 3U, 1U}) {
        try {
            run_sharded(
                connection, "model", shards, {},
                [&](std::size_t, const Lease&, const std::stop_token&) { is_begun = true; }, place.options());
            FAIL("it was not refused");
        } catch (const ShardCountMismatch& error) {
            CHECK(error.expected() == 4);
            CHECK(error.found() == shards);
            CHECK(error.what() ==
                  "shards of 'model': expected 4, the number that the database has, found " + std::to_string(shards));
        }
    }
    CHECK_FALSE(is_begun);
    CHECK(worker.working() == 4);
    const Worker other{place, "another", 6};
    CHECK(comes_true([&] { return other.working() == 6; }));
    CHECK_THROWS_AS(
        run_sharded(
            connection, "model", 0, {}, [](std::size_t, const Lease&, const std::stop_token&) {}, place.options()),
        escqrs::StoreError);
}

TEST_CASE("two numbers of shards that come at once: one is taken, and no worker of the other works")
{
    const Place place;
    for (int round = 0; round < 10; ++round) {
        const std::string name = "model" + std::to_string(round);
        std::array<std::atomic<int>, 2> begun{};
        std::array<std::atomic<bool>, 2> refused{};
        {
            std::array<std::jthread, 2> workers;
            for (std::size_t index = 0; index < workers.size(); ++index) {
                workers[index] = std::jthread{[&, index](const std::stop_token& stop) {
                    Connection connection{place.address};
                    try {
                        run_sharded(
                            connection, name, 2 + index, stop,
                            [&](std::size_t, const Lease&, const std::stop_token&) { ++begun[index]; },
                            place.options());
                    } catch (const ShardCountMismatch&) {
                        refused[index] = true;
                    }
                }};
            }
            CHECK(comes_true([&] { return (begun[0] > 0 && refused[1]) || (refused[0] && begun[1] > 0); }));
        }
        CHECK((begun[0] == 0 || begun[1] == 0));
    }
}

TEST_CASE("workers that died leave no rows, however many there were")
{
    const Place place;
    Connection connection{place.address};
    for (int died = 0; died < 10; ++died) { // of an error: without a farewell
        CHECK_THROWS_AS(run_sharded(
                            connection, "model", 3, {},
                            [](std::size_t, const Lease&, const std::stop_token&) { throw std::logic_error{"no"}; },
                            place.options()),
                        std::logic_error);
    }
    const auto rows = [&] { return count(connection, place, "shard_workers") + count(connection, place, "leases"); };
    const Worker one{place, "model", 3};
    const Worker two{place, "model", 3};
    CHECK(comes_true([&] { return rows() == 2 + 3; }));
    CHECK(comes_true([&] { return one.working() + two.working() == 3; }));
}

TEST_CASE("all shards are worked on, whatever the names of others are")
{
    const Place place;
    const Worker one{place, "model", 2};
    const Worker two{place, "model/worker", 2};
    const Worker three{place, "model/worker/0", 2};
    const Worker odd{place, "'\"\\%_$1{s}", 2};
    const Worker empty{place, "", 2};
    for (const Worker* worker : {&one, &two, &three, &odd, &empty}) {
        CHECK(comes_true([&] { return worker->working() == 2; }));
    }
}

TEST_CASE("a shard that fails over and over keeps the others neither from their leases nor from beginning")
{
    constexpr std::size_t shards = 6;
    const Place place;
    std::atomic<int> failures{0};
    std::atomic<int> stops{0};
    std::atomic<int> working{0};
    std::jthread worker{[&](const std::stop_token& stop) {
        Connection connection{place.address};
        run_sharded(
            connection, "model", shards, stop,
            [&](std::size_t shard, const Lease&, const std::stop_token& until) {
                if (shard != shards - 1) {
                    ++failures;
                    throw ConnectionLost{place.address, "the work", "the connection was lost", ""};
                }
                ++working;
                while (!until.stop_requested()) std::this_thread::sleep_for(2ms);
                --working;
                if (!stop.stop_requested()) ++stops;
            },
            place.options());
    }};
    CHECK(comes_true([&] { return working == 1 && failures > 40; }));
    CHECK(stops == 0);
}

TEST_CASE("the leases of shards may last as long as can be")
{
    const Place place;
    auto options = place.options();
    options.duration = escqrs::Duration::max();
    std::stop_source stop;
    Connection connection{place.address};
    CHECK_NOTHROW(run_sharded(
        connection, "model", 1, stop.get_token(),
        [&](std::size_t, const Lease&, const std::stop_token&) { stop.request_stop(); }, options));
}

TEST_CASE("shards that an earlier release leased keep their number")
{
    const Place place;
    Connection connection{place.address};
    const std::span steps{escqrs::postgres::detail::read_model_steps};
    migrate(connection, place.schema, {escqrs::postgres::detail::read_model_schema.name, steps.first(2)});
    connection.execute(with_schema("INSERT INTO {s}.leases SELECT name, 'old', 3, '-infinity' FROM unnest(ARRAY["
                                   "'model/0', 'model/1', 'model/2', 'model/3', 'model/worker/host:1:a', "
                                   "'model/worker/host:2:b', 'work', 'work/7', 'models/0']) AS name",
                                   place.schema));
    try {
        run_sharded(
            connection, "model", 6, {}, [](std::size_t, const Lease&, const std::stop_token&) {}, place.options());
        FAIL("it was not refused");
    } catch (const ShardCountMismatch& error) {
        CHECK(error.expected() == 4);
    }
    const Worker worker{place, "model", 4};
    CHECK(comes_true([&] { return worker.working() == 4; }));
    CHECK(count(connection, place, "leases") == 7);
    CHECK(count(connection, place, "leases WHERE shards IS NULL") == 3);
}

TEST_CASE("a stream's shard is the same everywhere, and the streams of a category spread over all shards")
{
    CHECK(shard_of(escqrs::StreamId{"account", "1"}, 8) == 4);
    std::array<int, 8> streams{};
    for (int number = 0; number < 800; ++number)
        ++streams[shard_of(escqrs::StreamId{"account", std::to_string(number)}, 8)];
    for (const int count : streams) CHECK(count > 50);
}
