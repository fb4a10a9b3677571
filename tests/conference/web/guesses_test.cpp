// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "web_fixture.hpp"

#include <escqrs/testing/catch2.hpp>

#include <chrono>
#include <cstdint>
#include <string>

using namespace conference;
using namespace conference::test;

namespace {

std::string metric(std::uint16_t port, const std::string& secret, const std::string& outcome)
{
    const auto text = Client{port}.request("GET", "/metrics").body;
    const auto name = "conference_guesses_total{secret=\"" + secret + "\",outcome=\"" + outcome + "\"} ";
    const auto at = text.find(name) + name.size();
    return text.substr(at, text.find('\n', at) - at);
}

/// A client that was wrong three times is refused for as long as a test lasts.
web::WebRoleOptions three_guesses()
{
    web::WebRoleOptions options;
    options.guesses = {.interval = std::chrono::hours{1}, .burst = 3};
    return options;
}

unsigned list_with(Client& client, const std::string& token, const std::string& forwarded = {})
{
    return client
        .request("GET", "/api/attendees", {}, {{"Authorization", "Bearer " + token}, {"X-Forwarded-For", forwarded}})
        .status;
}

const std::string right_token = "the-organiser's-token";

} // namespace

TEST_CASE("a client that has guessed the token too often is refused, and no other one")
{
    Installation conference{three_guesses()};
    const auto port = conference.role->port();
    CHECK(metric(port, "organiser token", "wrong") == "0");
    auto client = conference.client();
    for (int count = 0; count < 3; ++count) CHECK(list_with(client, "wrong-token") == 401);
    const auto refused = client.request("GET", "/api/dead-letters", {}, {{"Authorization", "Bearer wrong-token"}});
    check_problem(refused, 429, "/problems/too-many-tries");
    CHECK(refused.headers.at("Retry-After") == "5");
    CHECK(list_with(client, right_token) == 429);                 // not even checked
    CHECK(client.request("GET", "/api/attendees").status == 401); // without a token it is no guess
    Client elsewhere{port, "127.0.0.2"};
    for (int count = 0; count < 20; ++count) REQUIRE(list_with(elsewhere, right_token) == 200);

    CHECK(metric(port, "organiser token", "wrong") == "3");
    CHECK(metric(port, "organiser token", "refused") == "2");
    CHECK_THAT(conference.log_text(), Catch::Contains("web: wrong organiser token from 127.0.0.1\n"));
    CHECK_THAT(conference.log_text(), !Catch::Contains("wrong-token"));
}

TEST_CASE("a token waits for its turn after wrong ones, and is looked at then")
{
    web::WebRoleOptions options;
    options.guesses = {.interval = std::chrono::milliseconds{50}, .burst = 1};
    Installation conference{options};
    auto client = conference.client();
    CHECK(list_with(client, "wrong-token") == 401);
    CHECK(list_with(client, "wrong-token") == 401);
    CHECK(list_with(client, right_token) == 200);
}

TEST_CASE("a client that has guessed confirmation ids too often is refused, and a right one never waits")
{
    Installation conference{three_guesses()};
    conference.start_worker();
    auto client = conference.client();
    const auto id = register_attendee(client);
    const auto asked = client.request("POST", "/api/attendee/" + id + "/email", R"({"email":"b@example.org"})");
    REQUIRE(client.request("GET", asked.headers.at("Location")).status == 200);
    const std::string nothing = "00000000-0000-4000-8000-000000000000";
    check_problem(client.request("POST", "/api/attendee/" + id + "/email/" + nothing), 400,
                  "/problems/confirmation-mismatch");
    for (const char* const method : {"GET", "POST"}) {
        check_problem(client.request(method, "/api/confirmation/" + nothing), 404, "/problems/unknown-confirmation");
    }
    check_problem(client.request("GET", "/api/confirmation/" + nothing), 429, "/problems/too-many-tries");
    check_problem(client.request("POST", "/api/attendee/" + id + "/email/" + nothing), 429, "/problems/too-many-tries");
    const auto right = "/api/confirmation/" + to_string(conference.changes(id).back().confirmation_id);
    CHECK(client.request("GET", right).status == 200);
    CHECK(client.request("POST", right).status == 200);

    CHECK(metric(conference.role->port(), "confirmation id", "wrong") == "5");
    CHECK(metric(conference.role->port(), "confirmation id", "refused") == "2");
    CHECK_THAT(conference.log_text(), Catch::Contains("web: wrong confirmation id from 127.0.0.1\n"));
}

TEST_CASE("behind a proxy a client is the address that the proxy has seen")
{
    auto options = three_guesses();
    options.server.is_behind_proxy = true;
    Installation conference{options};
    auto client = conference.client();
    const std::string seen = ", 198.51.100.1";
    for (int count = 0; count < 3; ++count)
        CHECK(list_with(client, "wrong-token", "192.0.2." + std::to_string(count) + seen) == 401);
    CHECK(list_with(client, right_token, "192.0.2.9" + seen) == 429);
    CHECK(list_with(client, right_token, "192.0.2.9" + seen + ":4711") == 429);
    CHECK(list_with(client, right_token, "198.51.100.2") == 200);
    CHECK(list_with(client, right_token, "[2001:db8::1]:4711") == 200);
    CHECK(list_with(client, "wrong-token", "not an address") == 401);
    CHECK_THAT(conference.log_text(), Catch::Contains("from 198.51.100.1\n") && Catch::Contains("from 127.0.0.1\n"));
}
