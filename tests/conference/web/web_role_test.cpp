// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "web_fixture.hpp"

#include <escqrs/testing/catch2.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

using namespace conference;
using namespace conference::test;

TEST_CASE("a store that is not available does not fill the log")
{
    Installation conference;
    auto client = conference.client();
    conference.failing_store->fails = true;
    for (int count = 0; count < 100; ++count)
        REQUIRE(client.request("POST", "/api/attendee/register", R"({"email":"a@b.org"})").status == 503);
    const auto log = conference.log_text();
    CHECK(std::ranges::count(log, '\n') < 100);
    CHECK_THAT(log, Catch::Contains("web: disk full\n"));
}

TEST_CASE("a store that is not available is a 503 that tells nothing of our insides")
{
    Installation conference;
    auto client = conference.client();
    conference.failing_store->fails = true;
    const auto reply = client.request("POST", "/api/attendee/register", R"({"email":"a@b.org"})");
    check_problem(reply, 503, "about:blank");
    CHECK(reply.headers.at("Retry-After") == "1");
    CHECK(reply.body.find("disk") == std::string::npos);
    conference.failing_store->fails = false;
    CHECK(client.request("POST", "/api/attendee/register", R"({"email":"a@b.org"})").status == 202);
    CHECK_THAT(client.request("GET", "/metrics").body,
               Catch::Contains(R"(conference_commands_total{command="RegisterAttendee",outcome="failed"} 1)") &&
                   Catch::Contains(R"(conference_commands_total{command="RegisterAttendee",outcome="accepted"} 1)"));
}

TEST_CASE("the page comes with its policy, and only when it has changed")
{
    Installation conference;
    auto client = conference.client();
    for (const char* path : {"/", "/app.js", "/registration.js", "/style.css"}) {
        CAPTURE(path);
        const auto page = client.request("GET", path);
        REQUIRE(page.status == 200);
        CHECK_THAT(page.headers.at("Content-Security-Policy"), Catch::StartsWith("default-src 'none'"));
        CHECK(page.headers.at("X-Content-Type-Options") == "nosniff");
        CHECK_THAT(page.headers.at("Content-Type"), Catch::EndsWith("; charset=utf-8"));
        const auto unchanged = client.request("GET", path, {}, {{"If-None-Match", page.headers.at("ETag")}});
        CHECK(unchanged.status == 304);
        CHECK(unchanged.headers.count("Content-Length") == 0);
        CHECK(client.request("GET", path, {}, {{"If-None-Match", "\"x\", W/" + page.headers.at("ETag")}}).status ==
              304);
        const auto head = client.request("HEAD", path);
        CHECK(head.status == 200);
        CHECK(head.headers.at("Content-Length") == std::to_string(page.body.size()));
    }
}

TEST_CASE("a path with nothing at it is a page for people with a browser, and a problem for programs")
{
    Installation conference;
    auto client = conference.client();
    const std::map<std::string, std::string> browser{{"Accept", "text/html,application/xhtml+xml,*/*;q=0.8"}};
    for (const char* const path : {"/nothing", "/404.html", "/apis"}) {
        CAPTURE(path);
        const auto page = client.request("GET", path, {}, browser);
        CHECK(page.status == 404);
        CHECK(page.headers.at("Content-Type") == "text/html; charset=utf-8");
        CHECK(page.headers.at("Vary") == "Accept");
        CHECK_THAT(page.headers.at("Content-Security-Policy"), Catch::StartsWith("default-src 'none'"));
        CHECK_THAT(page.body, Catch::Contains("There is nothing at this address"));
        check_problem(client.request("GET", path), 404, "about:blank");
        check_problem(client.request("GET", path, {}, {{"Accept", "*/*"}}), 404, "about:blank");
        check_problem(client.request("GET", path, {}, {{"Accept", "text/htmlx, application/json"}}), 404,
                      "about:blank");
        check_problem(client.request("POST", path, {}, browser), 404, "about:blank");
    }
    check_problem(client.request("GET", "/api/nothing", {}, browser), 404, "about:blank");
}

TEST_CASE("readiness names what is not in order")
{
    Installation conference;
    auto client = conference.client();
    CHECK(client.request("GET", "/healthz").status == 200);
    CHECK(client.request("GET", "/readyz").status == 200);
    conference.problem = "the example is out of order";
    const auto reply = client.request("GET", "/readyz");
    CHECK(reply.status == 503);
    CHECK_THAT(reply.body, Catch::Contains("the example is out of order"));
}

TEST_CASE("what is too large, malformed or too slow is answered and ends the connection")
{
    web::WebRoleOptions options;
    options.server.read_timeout = std::chrono::seconds{1};
    Installation conference{options};
    SECTION("a body beyond the limit")
    {
        auto client = conference.client();
        check_problem(client.request("POST", "/api/attendee/register", std::string(65 * 1024, ' ')), 413,
                      "about:blank");
        CHECK(client.is_closed_by_server());
    }
    SECTION("a chunked body beyond the limit")
    {
        auto client = conference.client();
        client.send("POST /api/attendee/register HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n10000\r\n" +
                    std::string(0x10000, ' ') + "\r\n10000\r\n");
        CHECK(client.read().status == 413);
    }
    SECTION("a header beyond the limit")
    {
        auto client = conference.client();
        CHECK(client.request("GET", "/", {}, {{"X-Long", std::string(9000, 'x')}}).status == 431);
    }
    SECTION("not HTTP")
    {
        auto client = conference.client();
        client.send(std::string{"\x16\x03\x01\x00 hello\r\n\r\n", 14});
        CHECK(client.read().status == 400);
    }
    SECTION("a request that never ends")
    {
        auto client = conference.client();
        client.send("GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ");
        CHECK(client.is_closed_by_server());
    }
}

TEST_CASE("requests may be pipelined, chunked and asked about first")
{
    Installation conference;
    auto client = conference.client();
    client.send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /nothing HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK(client.read().status == 200);
    CHECK(client.read().status == 404);
    client.send("POST /api/attendee/register HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                "Transfer-Encoding: chunked\r\n\r\n13\r\n{\"email\":\"a@b.org\"}\r\n0\r\n\r\n");
    CHECK(client.read().status == 202);
    client.send(
        "POST /api/attendee/register HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 19\r\n"
        "Expect: 100-continue\r\n\r\n");
    CHECK(client.read().status == 100);
    client.send("{\"email\":\"a@b.org\"}");
    CHECK(client.read().status == 202);
}

TEST_CASE("a thousand connections are kept alive")
{
    Installation conference;
    std::vector<std::unique_ptr<Client>> clients;
    for (int count = 0; count < 1000; ++count) clients.push_back(std::make_unique<Client>(conference.role->port()));
    for (int round = 0; round < 2; ++round) {
        for (const auto& client : clients) client->send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
        for (const auto& client : clients) CHECK(client->read().status == 200);
    }
}

TEST_CASE("stopping answers what has arrived, and ends idle connections and streams")
{
    Installation conference;
    conference.start_worker();
    auto busy = conference.client();
    auto idle = conference.client();
    const auto id = register_and_see(idle);
    auto follower = conference.client();
    follower.send("GET /api/attendee/" + id + "/stream HTTP/1.1\r\nHost: x\r\n\r\n");
    follower.read_until("\n\n");
    REQUIRE(busy.request("GET", "/healthz").status == 200);
    std::vector<std::unique_ptr<Client>> commanding;
    for (int count = 0; count < 20; ++count) {
        commanding.push_back(std::make_unique<Client>(conference.role->port()));
        REQUIRE(commanding.back()->request("GET", "/healthz").status == 200);
        commanding.back()->send("POST /api/attendee/register HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                                "Content-Length: 19\r\n\r\n{\"email\":\"a@b.org\"}");
    }
    std::size_t answered = 0;
    for (const auto& client : commanding) answered += client->read().status == 202 ? 1U : 0U;
    CHECK(answered == commanding.size());
    conference.role->stop();
    CHECK(idle.is_closed_by_server());
    CHECK_THROWS(conference.client());
}

TEST_CASE("a command that is still under way when the patience is over is answered when its store gives up")
{
    web::WebRoleOptions options;
    options.drain_patience = std::chrono::milliseconds{1};
    Installation conference{options};
    auto client = conference.client();
    auto& store = *conference.failing_store;
    store.appends.close();
    store.fails = true;
    client.send("POST /api/attendee/register HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                "Content-Length: 19\r\n\r\n{\"email\":\"a@b.org\"}");
    store.appends.wait_for(1);
    conference.role->stop([&] { store.appends.open(); });
    CHECK(client.read().status == 503);
}

TEST_CASE("stopping waits for no stream whose updates fail")
{
    Installation conference;
    conference.start_worker();
    auto client = conference.client();
    const auto id = register_and_see(client);
    auto follower = conference.client();
    auto& store = *conference.failing_store;
    store.fails_to_read = true;
    const int before = store.streams_read;
    follower.send("GET /api/attendee/" + id + "/stream HTTP/1.1\r\nHost: x\r\n\r\n");
    while (store.streams_read < before + 2) std::this_thread::yield(); // an update and its retry have failed
    conference.role->stop();
}
