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

TEST_CASE("a command is answered with id, version and position, and can be read back at once")
{
    Installation conference;
    conference.start_worker();
    auto client = conference.client();
    const auto reply = client.request("POST", "/api/attendee/register", R"({"email":" ada@example.org "})");
    REQUIRE(reply.status == 202);
    const auto accepted = reply.object();
    CHECK(accepted.at("version").as_int64() == 1);
    CHECK(accepted.at("position").as_int64() == 1);
    const auto view = client.request("GET", reply.headers.at("Location"));
    CHECK(view.status == 200);
    CHECK(text_of(view.object(), "email") == "ada@example.org");
    CHECK(text_of(view.object(), "status") == "registered");
    const auto history =
        client.request("GET", "/api/attendee/" + text_of(accepted, "attendeeId") + "/history?position=1");
    CHECK(history.status == 200);
    CHECK(history.object().at("events").as_array().size() == 1);
}

TEST_CASE("the history never shows the confirmation id")
{
    Installation conference;
    auto client = conference.client();
    const auto id = register_attendee(client);
    REQUIRE(client.request("POST", "/api/attendee/" + id + "/email", R"({"email":"b@example.org"})").status == 202);
    const auto events = client.request("GET", "/api/attendee/" + id + "/history").object().at("events").as_array();
    REQUIRE(events.size() == 2);
    CHECK(events[1].at("type").as_string() == "EmailChangeRequested");
    CHECK(events[1].at("data").as_object().size() == 1);
}

TEST_CASE("a confirmation id is enough to confirm, once, and tells nothing of the attendee")
{
    Installation conference;
    conference.start_worker();
    auto client = conference.client();
    const auto id = register_attendee(client, "owner@private.org");
    const auto ask = [&](const std::string& email) {
        const auto reply = client.request("POST", "/api/attendee/" + id + "/email", R"({"email":")" + email + "\"}");
        REQUIRE(reply.status == 202);
        REQUIRE(client.request("GET", reply.headers.at("Location")).status == 200);
        const auto changes = conference.changes(id);
        return "/api/confirmation/" + to_string(changes.back().confirmation_id);
    };
    const auto state = [&](const std::string& link) { return text_of(client.request("GET", link).object(), "state"); };
    const auto first = ask("first@example.org");
    const auto second = ask("second@example.org");
    CHECK(client.request("GET", second).object() ==
          json::object{{"email", "second@example.org"}, {"state", "pending"}});
    CHECK(state(first) == "replaced");
    check_problem(client.request("POST", first), 400, "/problems/confirmation-mismatch");
    CHECK(state(second) == "pending"); // looking confirms nothing

    const json::object confirmed{{"email", "second@example.org"}, {"state", "confirmed"}};
    const auto reply = client.request("POST", second);
    CHECK(reply.status == 200);
    CHECK(reply.object() == confirmed);
    CHECK(reply.headers.count("Location") == 0);
    CHECK(client.request("POST", second).object() == confirmed);
    CHECK(client.request("POST", second, {}, {{"Idempotency-Key", "one"}}).object() == confirmed);
    CHECK(client.request("GET", second).object() == confirmed);
    CHECK(conference.failing_store->store().head() == escqrs::GlobalPosition{4});

    const auto third = ask("third@example.org");
    CHECK(state(second) == "confirmed");
    CHECK(client.request("DELETE", "/api/attendee/" + id, R"({"reason":"ill"})").status == 202);
    CHECK(state(third) == "ended");
    check_problem(client.request("POST", third), 400, "/problems/already-unregistered");
    for (const char* const method : {"GET", "POST"}) {
        check_problem(client.request(method, "/api/confirmation/00000000-0000-4000-8000-000000000000"), 404,
                      "/problems/unknown-confirmation");
        check_problem(client.request(method, "/api/confirmation/17"), 400, "/problems/malformed-id");
        check_problem(client.request(method, "/api/confirmation/" + id), 404, "/problems/unknown-confirmation");
    }
}

TEST_CASE("asking again for the address that waits to be confirmed stores nothing, until an hour has passed")
{
    Installation conference;
    auto client = conference.client();
    const auto path = "/api/attendee/" + register_attendee(client) + "/email";
    const auto first = client.request("POST", path, R"({"email":"b@example.org"})");
    CHECK(first.object().at("version").as_int64() == 2);
    const auto again = client.request("POST", path, R"({"email":" b@example.org"})");
    CHECK(again.status == 202);
    CHECK(again.object() == first.object());
    CHECK(conference.failing_store->store().head() == escqrs::GlobalPosition{2});

    CHECK(client.request("POST", path, R"({"email":"c@example.org"})").object().at("version").as_int64() == 3);
    CHECK(client.request("POST", path, R"({"email":"b@example.org"})").object().at("version").as_int64() == 4);
    conference.clock.advance(std::chrono::minutes{59});
    CHECK(client.request("POST", path, R"({"email":"b@example.org"})").object().at("version").as_int64() == 4);
    conference.clock.advance(std::chrono::minutes{2});
    CHECK(client.request("POST", path, R"({"email":"b@example.org"})").object().at("version").as_int64() == 5);
}

TEST_CASE("asking for one address many times at once asks once")
{
    Installation conference;
    auto client = conference.client();
    const auto path = "/api/attendee/" + register_attendee(client) + "/email";
    std::vector<std::jthread> threads;
    std::atomic<int> accepted{0};
    for (int count = 0; count < 8; ++count) {
        threads.emplace_back([&] {
            auto own = conference.client();
            const auto reply = own.request("POST", path, R"({"email":"b@example.org"})");
            if (reply.status == 202 && reply.object().at("version").as_int64() == 2) ++accepted;
        });
    }
    threads.clear();
    CHECK(accepted == 8);
    CHECK(conference.failing_store->store().head() == escqrs::GlobalPosition{2});
}

TEST_CASE("what a rule refuses is a 400 that names the rule and the field")
{
    Installation conference;
    auto client = conference.client();
    const auto id = register_attendee(client);
    const auto invalid = client.request("POST", "/api/attendee/register", R"({"email":"nobody"})");
    check_problem(invalid, 400, "/problems/invalid-email");
    CHECK(text_of(invalid.object().at("errors").as_array().at(0).as_object(), "field") == "email");
    check_problem(client.request("POST", "/api/attendee/" + id + "/email/00000000-0000-4000-8000-000000000000"), 400,
                  "/problems/nothing-to-confirm");
    check_problem(client.request("POST", "/api/attendee/" + id + "/email/17"), 400, "/problems/malformed-id");
    const std::string nil = "00000000-0000-0000-0000-000000000000";
    check_problem(
        client.request("POST", "/api/attendee/register", R"({"email":"a@b.org","attendeeId":")" + nil + "\"}"), 400,
        "/problems/malformed-id");
    CHECK(client.request("DELETE", "/api/attendee/" + id, R"({"reason":"ill"})").status == 202);
    check_problem(client.request("DELETE", "/api/attendee/" + id, R"({"reason":"ill"})"), 400,
                  "/problems/already-unregistered");
}

TEST_CASE("an unknown attendee is a 404, an id in use a 409")
{
    Installation conference;
    auto client = conference.client();
    const std::string nobody = "/api/attendee/00000000-0000-4000-8000-000000000000";
    check_problem(client.request("GET", nobody), 404, "/problems/unknown-attendee");
    check_problem(client.request("GET", nobody + "/history"), 404, "/problems/unknown-attendee");
    check_problem(client.request("GET", nobody + "/stream"), 404, "/problems/unknown-attendee");
    check_problem(client.request("POST", nobody + "/email", R"({"email":"a@b.org"})"), 404,
                  "/problems/unknown-attendee");
    const auto id = register_attendee(client);
    check_problem(
        client.request("POST", "/api/attendee/register", R"({"email":"a@b.org","attendeeId":")" + id + R"("})"), 409,
        "/problems/attendee-id-taken");
}

TEST_CASE("paths, methods, bodies and media types that do not fit have their status")
{
    Installation conference;
    auto client = conference.client();
    check_problem(client.request("GET", "/nothing"), 404, "about:blank");
    const auto wrong_method = client.request("PUT", "/api/attendee/register", "{}");
    check_problem(wrong_method, 405, "about:blank");
    CHECK_THAT(wrong_method.headers.at("Allow"), Catch::Contains("POST"));
    check_problem(client.request("POST", "/api/attendee/register", "{"), 400, "/problems/malformed-body");
    check_problem(client.request("POST", "/api/attendee/register"), 400, "/problems/malformed-body");
    check_problem(client.request("POST", "/api/attendee/register", "{}"), 400, "/problems/missing-field");
    check_problem(client.request("POST", "/api/attendee/register", "{}", {{"Content-Type", "text/plain"}}), 415,
                  "about:blank");
    check_problem(client.request("GET", "/%zz"), 400, "about:blank");
    check_problem(client.request("GET", "/api/attendees?limit=0", {}, organiser), 400, "/problems/malformed-parameter");
    check_problem(client.request("GET", "/api/attendees?after=x", {}, organiser), 400, "/problems/malformed-parameter");
}

TEST_CASE("the id of an attendee cannot be computed from the key it was registered with")
{
    const auto id = [] {
        const Installation conference;
        auto client = conference.client();
        const auto reply = client.request("POST", "/api/attendee/register", R"({"email":"ada@example.org"})",
                                          {{"Idempotency-Key", "order-4711"}});
        REQUIRE(reply.status == 202);
        CHECK_THAT(reply.headers.at("Location"), Catch::Contains(text_of(reply.object(), "attendeeId")));
        return text_of(reply.object(), "attendeeId");
    };
    CHECK(id() != id()); // two installations, one key
}

TEST_CASE("a repeated command returns the first answer, and its key serves no other request")
{
    Installation conference;
    auto client = conference.client();
    const std::map<std::string, std::string> key{{"Idempotency-Key", "one"}};
    const std::string body = R"({"email":"ada@example.org"})";
    const auto first = client.request("POST", "/api/attendee/register", body, key);
    REQUIRE(first.status == 202);
    CHECK(client.request("POST", "/api/attendee/register", body, key).body == first.body);
    check_problem(client.request("POST", "/api/attendee/register", R"({"email":"b@example.org"})", key), 422,
                  "/problems/idempotency-key-reused");
    const auto id = text_of(first.object(), "attendeeId");
    check_problem(client.request("DELETE", "/api/attendee/" + id, R"({"reason":"ill"})", key), 422,
                  "/problems/idempotency-key-reused");

    const std::map<std::string, std::string> other{{"Idempotency-Key", "two"}};
    const auto gone = client.request("DELETE", "/api/attendee/" + id, R"({"reason":"ill"})", other);
    CHECK(gone.status == 202);
    CHECK(client.request("DELETE", "/api/attendee/" + id, R"({"reason":"ill"})", other).body == gone.body);
    CHECK(conference.failing_store->head() == escqrs::GlobalPosition{2});
}

TEST_CASE("whether a command with a key has been carried out is asked once")
{
    Installation conference;
    auto client = conference.client();
    auto& store = *conference.failing_store;
    const auto id = register_attendee(client);
    const std::map<std::string, std::string> key{{"Idempotency-Key", "one"}};
    const auto change = [&] {
        store.streams_read = 0;
        store.events_located = 0;
        return client.request("POST", "/api/attendee/" + id + "/email", R"({"email":"b@example.org"})", key).status;
    };
    CHECK(change() == 202);
    CHECK(store.events_located == 1);
    CHECK(store.streams_read == 1); // the attendee's, to decide
    CHECK(change() == 202);
    CHECK(store.events_located == 1);
    CHECK(store.head() == escqrs::GlobalPosition{2});
}

TEST_CASE("the organiser's routes need the token")
{
    Installation conference;
    conference.start_worker();
    auto client = conference.client();
    for (const char* path : {"/api/attendees", "/api/dead-letters"}) {
        const auto refused = client.request("GET", path);
        check_problem(refused, 401, "/problems/organiser-only");
        CHECK(refused.headers.at("WWW-Authenticate") == "Bearer");
        CHECK(client.request("GET", path, {}, {{"Authorization", "Bearer the-organiser's-tokem"}}).status == 401);
        CHECK(client.request("GET", path, {}, {{"Authorization", "Bearer "}}).status == 401);
        CHECK(client.request("GET", path, {}, organiser).status == 200);
        CHECK(client.request("GET", path, {}, {{"Authorization", "bEARER the-organiser's-token"}}).status == 200);
        CHECK(client.request("GET", path, {}, {{"Authorization", "Basic the-organiser's-token"}}).status == 401);
        auto trailing = conference.client();
        trailing.send(std::string{"GET "} + path + " HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" +
                      "Authorization: Bearer the-organiser's-token\r\n\r\n");
        CHECK(trailing.read().status == 401);
    }
    CHECK(client.request("POST", "/api/dead-letters/x/resubmit").status == 401);
    CHECK(client.request("POST", "/api/dead-letters/x/resubmit", {}, organiser).status == 404);

    std::string last;
    for (int count = 0; count < 5; ++count) last = register_attendee(client);
    CHECK(client.request("GET", "/api/attendee/" + last + "?position=5").status == 200);
    std::vector<std::string> seen;
    json::value next = "";
    while (next.is_string()) {
        const auto page =
            client.request("GET", "/api/attendees?limit=2&after=" + std::string{next.as_string()}, {}, organiser)
                .object();
        for (const auto& view : page.at("attendees").as_array())
            seen.push_back(text_of(view.as_object(), "attendeeId"));
        next = page.at("next");
    }
    REQUIRE(seen.size() == 5);
    CHECK(seen.back() == last);

    const auto gone = client.request("DELETE", "/api/attendee/" + last, R"({"reason":"ill"})");
    REQUIRE(client.request("GET", gone.headers.at("Location")).status == 200);
    const auto counts = client.request("GET", "/api/attendees?limit=1", {}, organiser).object();
    CHECK(counts.at("total").as_int64() == 5);
    CHECK(counts.at("registered").as_int64() == 4);
}

TEST_CASE("a dead letter can be looked at and given back")
{
    Installation conference;
    conference.start_worker();
    escqrs::Message poison;
    poison.message_id = "poison/1";
    poison.body = "not an event \xff";
    conference.queue.send({&poison, 1});
    auto client = conference.client();
    json::array letters;
    while (letters.empty()) {
        letters = client.request("GET", "/api/dead-letters", {}, organiser).object().at("deadLetters").as_array();
    }
    CHECK(text_of(letters[0].as_object(), "messageId") == "poison/1");
    CHECK(text_of(letters[0].as_object(), "reason") == "CodecError");
    CHECK(client.request("POST", "/api/dead-letters/poison%2F1/resubmit", {}, organiser).status == 202);
}

TEST_CASE("a dead letter shows no confirmation id, whatever its body is")
{
    Installation conference;
    conference.start_worker();
    const std::string secret = "aaaaaaaa-BBBB-4ccc-8ddd-eeeeeeeeeeee";
    const std::vector<std::string> bodies{R"({"email":"a@b.org","confirmationId":")" + secret + R"("})",
                                          "{\"confirmationId\" :\n \"" + secret, secret + secret,
                                          "a" + secret + "\xff"};
    for (const std::string& body : bodies) {
        escqrs::Message poison;
        poison.message_id = "poison/" + std::to_string(body.size());
        poison.body = body;
        conference.queue.send({&poison, 1});
    }
    auto client = conference.client();
    std::string text;
    std::size_t letters = 0;
    while (letters < bodies.size()) {
        const auto reply = client.request("GET", "/api/dead-letters", {}, organiser);
        text = reply.body;
        letters = reply.object().at("deadLetters").as_array().size();
    }
    CHECK_THAT(text, !Catch::Contains("BBBB-4ccc"));
    CHECK_THAT(text, !Catch::Contains("eeeeeeee"));
    CHECK_THAT(text, Catch::Contains("a@b.org"));
}

TEST_CASE("a query waits for the read model, within bounds")
{
    Installation conference; // without a worker: the read model stands still
    auto client = conference.client();
    const auto id = register_attendee(client);
    const auto behind = client.request("GET", "/api/attendee/" + id + "?position=1");
    check_problem(behind, 503, "/problems/read-model-behind");
    CHECK(behind.headers.at("Retry-After") == "1");
    check_problem(client.request("GET", "/api/attendee/" + id + "?position=2"), 400, "/problems/unknown-position");
    check_problem(client.request("GET", "/api/attendee/" + id + "?position=x"), 400, "/problems/malformed-parameter");
    conference.start_worker();
    Reply caught_up;
    while (caught_up.status != 200) caught_up = client.request("GET", "/api/attendee/" + id + "?position=1");
    CHECK(text_of(caught_up.object(), "attendeeId") == id);
}

TEST_CASE("an event stream shows each change, from where its client was")
{
    Installation conference;
    conference.start_worker();
    auto client = conference.client();
    const auto id = register_and_see(client);
    auto follower = conference.client();
    follower.send("GET /api/attendee/" + id + "/stream HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK_THAT(follower.read_until("\r\n\r\n"), Catch::Contains("200 OK") && Catch::Contains("text/event-stream"));
    CHECK_THAT(follower.read_until("\n\n"),
               Catch::StartsWith("id: 1\nevent: attendee\ndata: {") && Catch::Contains("AttendeeRegistered"));
    REQUIRE(client.request("POST", "/api/attendee/" + id + "/email", R"({"email":"b@example.org"})").status == 202);
    CHECK_THAT(follower.read_until("\n\n"), Catch::StartsWith("id: 2\n") && Catch::Contains("EmailChangeRequested") &&
                                                !Catch::Contains("AttendeeRegistered"));
    auto returning = conference.client();
    returning.send("GET /api/attendee/" + id + "/stream HTTP/1.1\r\nHost: x\r\nLast-Event-ID: 1\r\n\r\n");
    returning.read_until("\r\n\r\n");
    CHECK_THAT(returning.read_until("\n\n"), Catch::StartsWith("id: 2\n") && !Catch::Contains("AttendeeRegistered"));
}

TEST_CASE("asking for the head of an event stream does not begin one")
{
    Installation conference;
    conference.start_worker();
    auto client = conference.client();
    const auto id = register_and_see(client);
    CHECK(client.request("HEAD", "/api/attendee/" + id + "/stream").status == 200);
    CHECK(client.is_closed_by_server());
}

TEST_CASE("only the organiser may wait for the list")
{
    Installation conference;
    auto client = conference.client();
    register_attendee(client);
    CHECK(client.request("GET", "/api/attendees?position=1").status == 401);
    CHECK(client.request("GET", "/api/attendees?position=1", {}, organiser).status == 503);
}
