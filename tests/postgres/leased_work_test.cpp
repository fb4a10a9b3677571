// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <escqrs/postgres/leased_work.hpp>

#include <escqrs/in_memory/event_store.hpp>
#include <escqrs/postgres/checkpoint.hpp>
#include <escqrs/projections/subscription.hpp>
#include <escqrs/testing/catch2.hpp>

#include "postgres/lease_place.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace {

using namespace std::chrono_literals;
using namespace escqrs::postgres;
using escqrs::GlobalPosition;
using postgres_test::comes_true;
using postgres_test::Place;
using postgres_test::short_while;

/// A process that runs `work` and ends.
pid_t child(const std::function<int()>& work)
{
    const pid_t process = fork();
    if (process != 0) return process;
    int code = 99;
    try {
        code = work();
    } catch (const std::exception&) { // NOLINT(bugprone-empty-catch): the code tells
    }
    _exit(code);
}

int end_of(pid_t process)
{
    int status = 0;
    while (waitpid(process, &status, 0) < 0 && errno == EINTR) {}
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

} // namespace

TEST_CASE("a lease is one holder's until it runs out or is given away, and each holder's token is greater")
{
    const Place place;
    Connection connection{place.address};
    Lease one{connection, "relay", place.options()};
    Lease other{connection, "relay", place.options()};
    Lease another{connection, "another", place.options()};
    REQUIRE(one.acquire());
    CHECK(one.token() == 1);
    CHECK_FALSE(other.acquire());
    CHECK(another.acquire());
    CHECK(one.acquire()); // again, for another while
    CHECK(one.token() == 1);

    one.release();
    REQUIRE(other.acquire());
    CHECK(other.token() == 2);
    CHECK_FALSE(one.acquire());
    one.release(); // it is not its own
    CHECK_FALSE(one.acquire());

    CHECK(comes_true([&] { return one.acquire(); })); // it ran out
    CHECK(one.token() == 3);
    CHECK_FALSE(other.acquire());
}

TEST_CASE("nothing is written under a lease that has gone to another")
{
    const Place place;
    Connection connection{place.address};
    Connection elsewhere{place.address};
    Lease lease{connection, "projection", place.options()};
    Checkpoint checkpoint{connection, "projection", lease};
    CHECK_THROWS_AS(checkpoint.begin().commit(GlobalPosition{1}), LeaseLost); // it was never taken
    REQUIRE(lease.acquire());
    checkpoint.begin().commit(GlobalPosition{2});

    Lease successor{elsewhere, "projection", place.options()};
    REQUIRE(comes_true([&] { return successor.acquire(); }));
    CHECK_THROWS_AS(checkpoint.begin().commit(GlobalPosition{3}), LeaseLost);
    CHECK_THROWS_AS(checkpoint.save(GlobalPosition{3}), LeaseLost);
    {
        const Transaction own{connection}; // as code that writes the read model and the position by hand
        CHECK_THROWS_AS(checkpoint.save(GlobalPosition{3}), LeaseLost);
    }
    CHECK(checkpoint.load() == GlobalPosition{2});
    Checkpoint other{elsewhere, "projection", successor};
    other.save(GlobalPosition{4});
    CHECK(checkpoint.load() == GlobalPosition{4});
}

TEST_CASE("nothing is written under a lease whose token another holder was given too")
{
    const Place place;
    Connection connection{place.address};
    Lease lease{connection, "projection", place.options("before")};
    REQUIRE(lease.acquire());
    Checkpoint checkpoint{connection, "projection", lease};
    checkpoint.save(GlobalPosition{1});
    // A server that took over without the last changes does not know of the first holder.
    connection.execute(with_schema("DELETE FROM {s}.leases", place.schema));
    Lease successor{connection, "projection", place.options("after")};
    REQUIRE(successor.acquire());
    REQUIRE(successor.token() == lease.token());
    CHECK_THROWS_AS(checkpoint.save(GlobalPosition{2}), LeaseLost);
    CHECK_THROWS_AS(checkpoint.begin().commit(GlobalPosition{2}), LeaseLost);
    CHECK_FALSE(lease.acquire());
    lease.release(); // it is not its own
    CHECK_FALSE(lease.acquire());
    CHECK(checkpoint.load() == GlobalPosition{1});
    Checkpoint{connection, "projection", successor}.save(GlobalPosition{3});
}

TEST_CASE("a lease may last as long as can be, but not for no time")
{
    const Place place;
    Connection connection{place.address};
    auto options = place.options();
    options.duration = escqrs::Duration::max();
    Lease lease{connection, "projection", options};
    REQUIRE(lease.acquire());
    REQUIRE(lease.acquire());
    Checkpoint checkpoint{connection, "projection", lease};
    checkpoint.save(GlobalPosition{1});
    checkpoint.begin().commit(GlobalPosition{2});
    Lease other{connection, "projection", place.options()};
    CHECK_FALSE(other.acquire());

    for (const auto duration : {0us, -1us}) {
        options.duration = duration;
        CHECK_THROWS_AS((Lease{connection, "projection", options}), escqrs::StoreError);
    }
}

TEST_CASE("a lease may have any name that the server can keep, and is distinct from all others")
{
    const Place place;
    Connection connection{place.address};
    for (const std::string name : {"", "'", "\"", "\\", "%", "_", "$1", "{s}", "/", "a/worker/b", "\xF0\x9F\x94\x92"}) {
        Lease lease{connection, name, place.options()};
        REQUIRE(lease.acquire());
        CHECK(lease.token() == 1);
        Checkpoint{connection, name, lease}.save(GlobalPosition{1});
    }
}

TEST_CASE("of many who would, one works, and when it is killed, another takes over")
{
    const Place place;
    const auto workers = [&](Connection& connection) {
        Statement select{connection, with_schema("SELECT holder FROM {s}.leases WHERE name = 'work' AND "
                                                 "expires_at > clock_timestamp()",
                                                 place.schema)};
        auto rows = select.query();
        return rows.next() ? std::string{rows.text(0)} : std::string{};
    };
    std::array<pid_t, 3> processes{};
    for (std::size_t index = 0; index < processes.size(); ++index) {
        processes[index] = child([&] {
            Connection connection{place.address};
            const LeaseOptions options = place.options(std::to_string(index));
            run_leased(
                connection, "work", {},
                [&](const Lease&, const std::stop_token& stop) {
                    while (!stop.stop_requested()) std::this_thread::sleep_for(5ms);
                },
                options);
            return 0;
        });
    }
    Connection connection{place.address};
    escqrs::postgres::detail::with_read_models(connection, place.schema);
    std::vector<bool> alive(processes.size(), true);
    for (std::size_t killed = 0; killed < processes.size(); ++killed) {
        std::string holder;
        REQUIRE(comes_true([&] {
            holder = workers(connection);
            return !holder.empty() && alive[std::stoul(holder)];
        }));
        const std::size_t index = std::stoul(holder);
        kill(processes[index], SIGKILL);
        CHECK(end_of(processes[index]) == -SIGKILL);
        alive[index] = false;
    }
}

TEST_CASE("work in no shards at all is refused")
{
    const Place place;
    Connection connection{place.address};
    const auto work = [](std::size_t, const Lease&, const std::stop_token&) {};
    CHECK_THROWS_WITH(
        escqrs::postgres::run_sharded(connection, "work", 0, std::stop_token{}, work, place.options("one")),
        Catch::Contains("option shards: expected at least 1, found 0"));
}

TEST_CASE("a shard whose checkpoint is not of the log ends the work, with an error that says so")
{
    const Place place;
    Connection connection{place.address};
    escqrs::in_memory::EventStore store;
    const auto work = [&](std::size_t shard, const Lease& lease, const std::stop_token& stop) {
        Connection own{place.address};
        Checkpoint checkpoint{own, "shard" + std::to_string(shard), lease};
        if (shard == 2) checkpoint.save(GlobalPosition{5});
        escqrs::Subscription{store, checkpoint}.run(stop, [](const escqrs::RecordedEvent&) {});
    };
    CHECK_THROWS_WITH(
        escqrs::postgres::run_sharded(connection, "work", 4, std::stop_token{}, work, place.options("one")),
        Catch::Contains("checkpoint 'shard2' at position 5") && Catch::Contains("position 0"));
}

TEST_CASE("a worker that was paused, and wakes late, writes nothing any more")
{
    const bool is_in_transaction = GENERATE(true, false);
    const Place place;
    Connection connection{place.address};
    Lease lease{connection, "work", place.options("parent")};
    connection.execute(with_schema("CREATE TABLE {s}.written (number bigserial, holder text)", place.schema));
    const auto write = [&](Connection& to, const char* holder) {
        Statement insert{to, with_schema("INSERT INTO {s}.written (holder) VALUES ($1)", place.schema)};
        insert.run(std::string_view{holder});
    };
    const pid_t process = child([&] {
        Connection own{place.address};
        Lease held{own, "work", place.options("child")};
        Checkpoint checkpoint{own, "work", held};
        if (!held.acquire()) return 1;
        try {
            for (std::uint64_t position = 1;; ++position) {
                auto transaction = checkpoint.begin();
                write(own, "child");
                if (position == 4 && is_in_transaction) (void)raise(SIGSTOP);
                transaction.commit(GlobalPosition{position});
                if (position == 4 && !is_in_transaction) (void)raise(SIGSTOP);
            }
        } catch (const LeaseLost&) {
            return 7;
        } catch (const ConnectionLost&) { // the server ended the transaction, when it had stood still for too long
            return 8;
        }
    });
    Checkpoint checkpoint{connection, "work", lease};
    int status = 0;
    REQUIRE(waitpid(process, &status, WUNTRACED) == process);
    REQUIRE(WIFSTOPPED(status));
    REQUIRE(comes_true([&] { return lease.acquire(); }));
    GlobalPosition reached;
    {
        auto transaction = checkpoint.begin(); // waits until the server has ended the child's transaction
        reached = transaction.position();
        write(connection, "parent");
        transaction.commit(GlobalPosition{1'000});
    }
    REQUIRE(lease.acquire());
    kill(process, SIGCONT);
    CHECK(end_of(process) == (is_in_transaction ? 8 : 7));
    CHECK(checkpoint.load() == GlobalPosition{1'000});
    Statement late{connection,
                   with_schema("SELECT count(*) FILTER (WHERE holder = 'child' AND number > (SELECT number FROM "
                               "{s}.written WHERE holder = 'parent')), count(*) FILTER (WHERE holder = 'child') "
                               "FROM {s}.written",
                               place.schema)};
    auto rows = late.query();
    REQUIRE(rows.next());
    CHECK(rows.integer(0) == 0);
    CHECK(rows.integer(1) == static_cast<std::int64_t>(reached.value()));
    CHECK(reached == GlobalPosition{is_in_transaction ? 3U : 4U});
}

TEST_CASE("work waits out what is passing, and does not wait for what will never come")
{
    const Place place;
    Connection owner{place.address};
    const auto options = place.options();
    {
        Lease makes_the_table{owner, "made", options};
    }
    // A lock that is not to be had within the time allowed for it.
    Connection connection{place.address + "?options=-c%20lock_timeout%3D20ms"};
    Lease lease{connection, "work", options};
    std::atomic<int> begun{0};
    std::atomic<int> refused{0};
    std::jthread unlock;
    {
        auto transaction = std::make_unique<Transaction>(owner);
        owner.execute(with_schema("LOCK TABLE {s}.leases", place.schema));
        try {
            (void)lease.acquire();
        } catch (const DatabaseError& error) {
            if (error.is_passing() && error.state() == "55P03") ++refused;
        }
        unlock = std::jthread{[transaction = std::move(transaction)] { std::this_thread::sleep_for(short_while); }};
    }
    REQUIRE(refused == 1);
    run_leased(
        connection, "work", {}, [&](const Lease&, const std::stop_token&) { ++begun; }, options);
    CHECK(begun == 1);

    // Work that meets something of the kind is begun again.
    run_leased(
        connection, "work", {},
        [&](const Lease&, const std::stop_token&) {
            if (++begun == 2) throw DatabaseError{"here", "there", "a deadlock", "40P01"};
        },
        options);
    CHECK(begun == 3);

    unlock.join();
    owner.execute(with_schema("DROP TABLE {s}.leases", place.schema));
    CHECK_THROWS_AS(run_leased(
                        connection, "work", {}, [&](const Lease&, const std::stop_token&) { ++begun; }, options),
                    DatabaseError);
    CHECK(begun == 3);
}

TEST_CASE("work that fails is reported, and work that returns is not done again")
{
    const Place place;
    Connection connection{place.address};
    CHECK_THROWS_AS(run_leased(
                        connection, "work", {},
                        [](const Lease&, const std::stop_token&) { throw std::logic_error{"no"}; }, place.options()),
                    std::logic_error);
    int times = 0;
    run_leased(
        connection, "work", {}, [&](const Lease&, const std::stop_token&) { ++times; }, place.options());
    CHECK(times == 1);
}
