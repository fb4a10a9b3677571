// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "../http/client.hpp"
#include "worker/worker_role.hpp"
#include "worker_fixture.hpp"

#include <escqrs/testing/catch2.hpp>
#include <escqrs/testing/manual_clock.hpp>

#include <atomic>
#include <chrono>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

using namespace conference;
using namespace conference::test;
using namespace std::chrono_literals;

namespace {

template <class Condition>
bool eventually(Condition condition)
{
    for (int tries = 0; tries < 2000; ++tries) {
        if (condition()) return true;
        std::this_thread::sleep_for(10ms);
    }
    return false;
}

/// A queue that cannot be received from while told so, and in which a lock can be lost.
struct UnreliableReceiver {
    std::vector<escqrs::ReceivedMessage> receive(std::size_t at_most, escqrs::Duration wait, std::stop_token stop)
    {
        if (is_away) throw escqrs::TransportError{"the broker is away"};
        return queue.receive(at_most, std::min<escqrs::Duration>(wait, 20ms), std::move(stop));
    }
    void settle(const escqrs::ReceivedMessage& message, const escqrs::Disposition& disposition)
    {
        queue.settle(message, disposition);
    }
    std::vector<escqrs::SettlementResult> settle(std::span<const escqrs::Settlement> settlements)
    {
        if (loses_a_lock.exchange(false)) queue.settle(settlements[0].message, escqrs::Abandon{});
        return queue.settle(settlements);
    }
    void renew_lock(escqrs::ReceivedMessage& message) { queue.renew_lock(message); }

    escqrs::in_memory::MessageQueue queue;
    std::atomic<bool> is_away{false};
    std::atomic<bool> loses_a_lock{false};
};

/// A worker role as `conference worker` runs it: with its own server.
struct Installation {
    TemporaryFolder folder;
    std::string path = folder.file("read-model.db");
    UnreliableReceiver receiver;
    History history;
    http::Metrics metrics;
    std::mutex mutex;
    std::vector<std::string> log;
    WorkerRole role{
        {.read_model = path, .mail = "dir:" + folder.file("mail"), .public_url = "https://conference.example"},
        receiver,
        metrics,
        [this](std::string_view line) { note(line); }};
    http::HealthServer health{
        {.port = 0, .threads = 1}, metrics, role.checks(), [this](std::string_view line) { note(line); }};

    void note(std::string_view line)
    {
        const std::scoped_lock lock{mutex};
        log.emplace_back(line);
    }

    Reply get(const std::string& target) const { return Client{health.port()}.request("GET", target); }

    /// What the role lacks, by name; empty if it is ready.
    std::map<std::string, std::string> problems() const
    {
        const auto reply = get("/readyz");
        const auto body = reply.object();
        std::map<std::string, std::string> problems;
        for (const auto& problem : body.at("problems").as_array()) {
            problems[std::string{problem.at("name").as_string()}] = problem.at("problem").as_string();
        }
        REQUIRE(reply.status == (problems.empty() ? 200U : 503U));
        REQUIRE(body.at("ready").as_bool() == problems.empty());
        return problems;
    }

    bool becomes_ready() const
    {
        return eventually([&] { return get("/readyz").status == 200; });
    }

    bool shows(const std::string& line) const
    {
        return ("\n" + get("/metrics").body).find("\n" + line + "\n") != std::string::npos;
    }
    bool will_show(const std::string& line) const
    {
        return eventually([&] { return shows(line); });
    }
};

std::string messages(const std::string& outcome, int count)
{
    return "conference_worker_messages_total{outcome=\"" + outcome + "\"} " + std::to_string(count);
}

} // namespace

TEST_CASE("worker health: ready while it runs, alive whether or not")
{
    Installation place;
    CHECK(place.get("/healthz").status == 200);
    CHECK(place.problems() == std::map<std::string, std::string>{{"worker", "not running"}});
    CHECK(place.shows("conference_worker_working 0"));
    place.role.start();
    CHECK(place.becomes_ready());
    CHECK(place.shows("conference_worker_working 1"));
    place.role.stop();
    CHECK(place.problems() == std::map<std::string, std::string>{{"worker", "not running"}});
    CHECK(place.get("/healthz").status == 200);
}

TEST_CASE("worker health: a queue that is away is reported by name until it is back")
{
    Installation place;
    place.receiver.is_away = true;
    place.role.start();
    CHECK(eventually([&] { return place.problems()["worker"].ends_with("the broker is away"); }));
    CHECK(place.get("/readyz").headers.at("Retry-After") == "1");
    CHECK(place.get("/healthz").status == 200);
    CHECK(place.shows("conference_worker_working 0"));
    CHECK_FALSE(place.shows("conference_worker_failures_total 0"));
    place.receiver.is_away = false;
    CHECK(place.becomes_ready());
}

TEST_CASE("worker health: a read model that can't be written is reported before any message comes")
{
    const Installation place;
    escqrs::sqlite::Database other{place.path, read_model_schema};
    const escqrs::sqlite::Transaction writing{other};
    CHECK_THAT(place.problems()["read model"],
               Catch::StartsWith("cannot be written: ") ||
                   Catch::StartsWith("has not answered for ")); // on a busy machine
    CHECK(place.get("/healthz").status == 200);
}

TEST_CASE("worker health: whether the read model can be written is tried once a second, however many ask")
{
    const TemporaryFolder folder;
    const std::string path = folder.file("read-model.db");
    escqrs::testing::ManualClock clock;
    ReadModelHealth health{path, {.busy_timeout = 1ms}, clock};
    escqrs::sqlite::Database other{path, read_model_schema};
    escqrs::sqlite::Statement select_version{other, "PRAGMA data_version"}; // another one after each write by others
    const auto version = [&] {
        auto row = select_version.query();
        REQUIRE(row.next());
        return row.integer(0);
    };
    const auto before = version();
    CHECK_FALSE(health.problem());
    const auto first = version();
    CHECK(first != before);
    for (int count = 0; count < 10; ++count) CHECK_FALSE(health.problem());
    CHECK(version() == first);
    clock.advance(1s);
    CHECK_FALSE(health.problem());
    CHECK(version() != first);

    {
        const escqrs::sqlite::Transaction writing{other};
        CHECK_FALSE(health.problem());
        clock.advance(1s);
        CHECK(health.problem());
    }
    CHECK(health.problem());
    clock.advance(1s);
    CHECK_FALSE(health.problem());
}

TEST_CASE("worker health: a check that throws makes the role unready, and is logged")
{
    http::Metrics metrics;
    std::vector<std::string> log;
    const http::HealthServer health{{.port = 0, .threads = 1},
                                    metrics,
                                    {{"queue", []() -> std::optional<std::string> { throw std::runtime_error{"s3"}; }}},
                                    [&](std::string_view line) { log.emplace_back(line); }};
    const auto reply = Client{health.port()}.request("GET", "/readyz");
    CHECK(reply.status == 503);
    CHECK(reply.body == R"({"ready":false,"problems":[{"name":"queue","problem":"not available"}]})");
    CHECK(log == std::vector<std::string>{"not ready: queue: s3"});
}

TEST_CASE("worker health: every message is counted once, by what became of it")
{
    Installation place;
    for (const char* const outcome : {"handled", "abandoned", "dead_lettered", "lock_lost"}) {
        CHECK(place.shows(messages(outcome, 0)));
    }
    const auto ada = place.history.register_attendee();
    place.history.request_email(ada, "lovelace@example.net");
    const auto sent = place.history.messages();
    place.role.start();

    SECTION("handled, and the mail that followed")
    {
        place.receiver.queue.send(sent);
        CHECK(place.will_show(messages("handled", 2)));
        CHECK(place.shows("conference_read_model_position 2"));
        CHECK(place.will_show("conference_mails_total{outcome=\"sent\"} 2"));
        CHECK(place.will_show("conference_mails_waiting 0"));
        CHECK(place.shows("conference_mails_total{outcome=\"failed\"} 0"));
    }
    SECTION("abandoned, for an earlier event is missing, and handled once that has come")
    {
        place.receiver.queue.send(std::span{sent}.subspan(1));
        CHECK(place.will_show(messages("abandoned", 1)));
        CHECK(place.shows(messages("handled", 0)));
        place.receiver.queue.send(std::span{sent}.first(1));
        CHECK(place.will_show(messages("handled", 2)));
    }
    SECTION("dead-lettered, because it cannot be read")
    {
        auto poison = sent[0];
        poison.body = "{";
        place.receiver.queue.send(std::vector{poison});
        CHECK(place.will_show(messages("dead_lettered", 1)));
        CHECK(place.shows(messages("handled", 0)));
        CHECK(place.becomes_ready()); // one message is no reason to take the worker for dead
    }
    SECTION("lock lost after it was handled, and handled as a duplicate then")
    {
        place.receiver.loses_a_lock = true;
        place.receiver.queue.send(std::span{sent}.first(1));
        CHECK(place.will_show(messages("handled", 1)));
        CHECK(place.shows(messages("lock_lost", 1)));
        CHECK(place.shows(messages("abandoned", 0)));
    }
    place.role.stop();
}

TEST_CASE("worker health: the server has these routes and no others")
{
    Installation place;
    CHECK(place.get("/").status == 404);
    CHECK(place.get("/").headers.at("Content-Type") == "application/problem+json");
    CHECK(place.get("/api/attendees").status == 404);
    CHECK(Client{place.health.port()}.request("POST", "/readyz").status == 405);
    CHECK(Client{place.health.port()}.request("HEAD", "/readyz").status == 503); // not running
    CHECK(place.get("/metrics").headers.at("Content-Type") == "text/plain; version=0.0.4; charset=utf-8");
    CHECK(place.shows("conference_http_requests_total{method=\"any\",route=\"none\",status=\"404\"} 3"));
}

TEST_CASE("worker health: an address that is taken is said to be")
{
    http::Metrics metrics;
    const auto log = [](std::string_view) {};
    const http::HealthServer first{{.port = 0, .threads = 1}, metrics, {}, log};
    CHECK_THROWS_WITH((http::HealthServer{{.port = first.port(), .threads = 1}, metrics, {}, log}),
                      Catch::Contains("cannot listen on 127.0.0.1:" + std::to_string(first.port())));
    CHECK_THROWS_AS((http::HealthServer{{.address = "nowhere"}, metrics, {}, log}), std::system_error);
}
