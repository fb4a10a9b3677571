// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "http/router.hpp"

#include <escqrs/testing/catch2.hpp>

#include <string>

using namespace http;

namespace {

Request get(std::string target, std::string method = "GET") { return {std::move(method), std::move(target), {}, {}}; }

Router example()
{
    Router router;
    const auto nothing = [](const RoutedRequest&, const Responder&) {};
    router.on("GET", "/", nothing);
    router.on("POST", "/api/attendee/register", nothing);
    router.on("GET", "/api/attendee/{id}", nothing);
    router.on("DELETE", "/api/attendee/{id}", nothing);
    router.on("POST", "/api/attendee/{id}/email/{confirmationId}", nothing);
    return router;
}

} // namespace

TEST_CASE("a request finds its route, and what stands in the path's places")
{
    const Router router = example();
    CHECK(router.find(get("/")).request.route == "/");
    CHECK(router.find(get("/api/attendee/7")).request.path.at("id") == "7");
    const auto match = router.find(get("/api/attendee/7/email/a%2Fb%20c", "POST"));
    REQUIRE(match.handler != nullptr);
    CHECK(match.request.route == "/api/attendee/{id}/email/{confirmationId}");
    CHECK(match.request.path.at("confirmationId") == "a/b c");
}

TEST_CASE("the query is decoded")
{
    const auto match = example().find(get("/api/attendee/7?position=12&after=a%26b&empty="));
    CHECK(match.request.query.at("position") == "12");
    CHECK(match.request.query.at("after") == "a&b");
    CHECK(match.request.query.at("empty").empty());
}

TEST_CASE("HEAD is answered by the handler of GET")
{
    CHECK(example().find(get("/", "HEAD")).handler != nullptr);
    CHECK(example().find(get("/api/attendee/7", "HEAD")).handler != nullptr);
}

TEST_CASE("a path without that method tells which it has")
{
    const auto match = example().find(get("/api/attendee/7", "PUT"));
    CHECK(match.handler == nullptr);
    CHECK(match.allowed == std::vector<std::string>{"GET", "HEAD", "DELETE"});
}

TEST_CASE("a path that is listed as it is, is not taken for one with a place in it")
{
    const auto match = example().find(get("/api/attendee/register"));
    CHECK(match.handler == nullptr);
    CHECK(match.allowed == std::vector<std::string>{"POST"});
}

TEST_CASE("an unknown path has no method at all")
{
    for (const char* target :
         {"/nothing", "/api", "/api/attendee/", "/api/attendee/7/", "//", "/api/attendee/7/email/1/2"}) {
        CAPTURE(target);
        const auto match = example().find(get(target));
        CHECK(match.handler == nullptr);
        CHECK(match.allowed.empty());
    }
}

TEST_CASE("what is not a path is refused")
{
    for (const char* target : {"", "*", "http://example.org/", "/%zz", "/a b", "/\xff"}) {
        CAPTURE(target);
        CHECK_THROWS_AS(example().find(get(target)), BadTarget);
    }
}
