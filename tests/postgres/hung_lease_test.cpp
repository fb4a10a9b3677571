// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// Leased work while the server does not answer: its processes are stopped, and their connections stay up.
#include <escqrs/postgres/leased_work.hpp>

#include <escqrs/core/clock.hpp>
#include <escqrs/testing/catch2.hpp>

#include "postgres/lease_place.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <sys/types.h>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using namespace escqrs::postgres;
using postgres_test::comes_true;
using postgres_test::Place;
using postgres_test::Server;
using postgres_test::short_while;

/// A server whose processes may be stopped.
struct StoppableServer {
    /// @return processes that stand still as long as the result lives
    static std::shared_ptr<void> stop(const std::vector<pid_t>& processes)
    {
        for (const pid_t process : processes) (void)kill(process, SIGSTOP);
        return {nullptr, [processes](void*) {
                    for (const pid_t process : processes) (void)kill(process, SIGCONT);
                }};
    }

    /// Stops one that does nothing, and so has no locks that others wait for.
    std::shared_ptr<void> stop_when_idle(pid_t process)
    {
        std::shared_ptr<void> stopped;
        const auto is_idle = [&] {
            stopped = stop({process});
            auto rows = select_state_.query(process);
            if (rows.next() && rows.text(0) == "idle") return true;
            stopped.reset();
            return false;
        };
        REQUIRE(comes_true(is_idle));
        return stopped;
    }

    pid_t main_process()
    {
        Statement select{watcher_, "SELECT split_part(pg_read_file('postmaster.pid'), E'\\n', 1)::integer"};
        auto rows = select.query();
        return rows.next() ? static_cast<pid_t>(rows.integer(0)) : -1;
    }

    Place place() { return {server_.address(), server_.new_schema()}; }

    static StoppableServer& shared()
    {
        static StoppableServer server;
        return server;
    }

private:
    Server server_;
    Connection watcher_{server_.address()};
    Statement select_state_{watcher_, "SELECT state FROM pg_stat_activity WHERE pid = $1"};
};

/// A thread that runs leased work over a connection that waits for its server without end.
class Worker {
public:
    using Run = std::function<void(Connection&, std::stop_token, std::atomic<int>& working)>;

    Worker(const std::string& address, Run run)
        : connection_{address, {.answer_timeout = escqrs::Duration::max()}},
          thread_{[this, run = std::move(run)](const std::stop_token& stop) {
              run(connection_, stop, working_);
              has_returned_ = true;
          }}
    {
    }

    pid_t server_process() const { return server_process_; }
    int working() const { return working_; }
    bool has_returned() const { return has_returned_; }
    void request_stop() { thread_.request_stop(); }

private:
    Connection connection_;
    pid_t server_process_ = PQbackendPID(connection_.handle());
    std::atomic<int> working_{0};
    std::atomic<bool> has_returned_{false};
    std::jthread thread_;
};

void work(const std::stop_token& stop, std::atomic<int>& working)
{
    ++working;
    while (!stop.stop_requested()) std::this_thread::sleep_for(2ms);
    --working;
}

Worker::Run leased(const LeaseOptions& options)
{
    return [=](Connection& connection, std::stop_token stop, std::atomic<int>& working) {
        run_leased(
            connection, "work", std::move(stop),
            [&](const Lease&, const std::stop_token& until) { work(until, working); }, options);
    };
}

Worker::Run sharded(const LeaseOptions& options)
{
    return [=](Connection& connection, std::stop_token stop, std::atomic<int>& working) {
        run_sharded(
            connection, "work", 3, std::move(stop),
            [&](std::size_t, const Lease&, const std::stop_token& until) { work(until, working); }, options);
    };
}

/// The machine's clock, set back by an administrator.
class ClockSetBack final : public escqrs::Clock {
public:
    escqrs::Timestamp now() const override { return escqrs::system_clock().now() - back_.load(); }
    bool wait_for(std::unique_lock<std::mutex>& lock, std::condition_variable_any& wake, escqrs::Duration at_most,
                  std::stop_token stop, escqrs::FunctionRef<bool()> ready) override
    {
        return escqrs::system_clock().wait_for(lock, wake, at_most, std::move(stop), ready);
    }
    void set_back(escqrs::Duration by) { back_ = by; }

private:
    std::atomic<escqrs::Duration> back_{escqrs::Duration::zero()};
};

} // namespace

TEST_CASE("work is asked to stop when its lease ends, though the server does not answer, and another takes over")
{
    const auto run = GENERATE(leased, sharded);
    const int all = run == sharded ? 3 : 1;
    auto& server = StoppableServer::shared();
    const Place place = server.place();
    Worker one{place.address, run(place.options())};
    REQUIRE(comes_true([&] { return one.working() == all; }));
    Worker other{place.address, run(place.options())};
    const auto stopped = server.stop_when_idle(one.server_process());
    CHECK(comes_true([&] { return one.working() == 0; }));
    CHECK(comes_true([&] { return other.working() == all; }));
    one.request_stop();
    CHECK(comes_true([&] { return one.has_returned(); }));
}

TEST_CASE("leased work can be stopped while the whole server stands still")
{
    const auto run = GENERATE(leased, sharded);
    const int all = run == sharded ? 3 : 1;
    auto& server = StoppableServer::shared();
    const Place place = server.place();
    auto options = place.options();
    options.duration = GENERATE(escqrs::Duration{short_while}, escqrs::Duration{1h});
    Worker worker{place.address, run(options)};
    REQUIRE(comes_true([&] { return worker.working() == all; }));
    const auto stopped = StoppableServer::stop({server.main_process(), worker.server_process()});
    worker.request_stop();
    CHECK(comes_true([&] { return worker.has_returned(); }));
    CHECK(worker.working() == 0);
}

TEST_CASE("a lease ends in time though the machine's clock is set back")
{
    const Place place;
    Connection owner{place.address};
    ClockSetBack clock;
    std::atomic<int> working{0};
    std::jthread thread{[&](const std::stop_token& stop) {
        Connection connection{place.address};
        try {
            run_leased(
                connection, "work", stop, [&](const Lease&, const std::stop_token& until) { work(until, working); },
                place.options(), clock);
        } catch (const DatabaseError&) { // NOLINT(bugprone-empty-catch): the table is gone
        }
    }};
    REQUIRE(comes_true([&] { return working == 1; }));
    clock.set_back(1h);
    owner.execute(with_schema("DROP TABLE {s}.leases", place.schema)); // it cannot be renewed
    CHECK(comes_true([&] { return working == 0; }));
}

TEST_CASE("a worker that stops gives its lease away at once, however long it lasts")
{
    const Place place;
    LeaseOptions options = place.options("one");
    options.duration = escqrs::Duration::max();
    Worker one{place.address, leased(options)};
    REQUIRE(comes_true([&] { return one.working() == 1; }));
    options.holder = "another";
    Worker other{place.address, leased(options)};
    one.request_stop();
    CHECK(comes_true([&] { return other.working() == 1; }));
    CHECK(one.has_returned());
    other.request_stop();
    CHECK(comes_true([&] { return other.has_returned(); }));
    Connection connection{place.address};
    int times = 0;
    run_leased(
        connection, "work", {}, [&](const Lease&, const std::stop_token&) { ++times; }, options);
    CHECK(times == 1);
}
