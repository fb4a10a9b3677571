// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "web/attendee_json.hpp"
#include "web/problem_of.hpp"
#include "web/request_metadata.hpp"

#include <escqrs/core/error.hpp>

#include <escqrs/testing/catch2.hpp>

#include <functional>
#include <string>

using namespace http;
using namespace conference::web;

namespace {

Request post(std::string body, std::string content_type = "application/json")
{
    return {"POST", "/api/attendee/register", {{"Content-Type", std::move(content_type)}}, std::move(body)};
}

/// The problem that `act` ends with.
Problem problem_from(const std::function<void()>& act)
{
    try {
        act();
    } catch (const RequestRefused& refused) {
        return refused.problem();
    }
    return {0, "accepted", {}, {}, {}};
}

} // namespace

TEST_CASE("a command's body is one JSON object of texts")
{
    const CommandBody body{post(R"({"email":"a@b.org","unknown":[1,2],"none":null})")};
    CHECK(body.text("email") == "a@b.org");
    CHECK_FALSE(body.optional_text("attendeeId").has_value());
    CHECK_FALSE(body.optional_text("none").has_value());
    CHECK(problem_from([&] { (void)body.text("reason"); }).field == "reason");
    CHECK(problem_from([&] { (void)body.text("unknown"); }).slug == "malformed-field");
    const CommandBody with_nul{post(R"({"email":"a\u0000@b.org"})")};
    CHECK(problem_from([&] { (void)with_nul.text("email"); }).slug == "malformed-field");
}

TEST_CASE("what is no such body is refused")
{
    for (const std::string text : {"", "{", "[]", "7", R"({"email":"\xff"})", R"({"a":1} x)", "\xEF\xBB\xBF{}",
                                   R"({"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":1}}}}}}}}}})"}) {
        CAPTURE(text);
        const auto problem = problem_from([&] { const CommandBody body{post(text)}; });
        CHECK(problem.status == 400);
        CHECK(problem.slug == "malformed-body");
    }
    CHECK(problem_from([] { const CommandBody body{post("{}", "text/plain")}; }).status == 415);
    CHECK(problem_from([] { const CommandBody body{post("{}", "")}; }).status == 415);
    CHECK(problem_from([] { const CommandBody body{post("{}", "Application/JSON ; charset=utf-8")}; }).status == 0);
}

TEST_CASE("a request without a key is a separate command")
{
    const RequestMetadata about{post("{}")};
    CHECK(about.metadata.command_id.is_nil());
    CHECK_FALSE(about.metadata.correlation_id.is_nil());
}

TEST_CASE("requests with one key are one command, told apart by their content")
{
    auto first = post(R"({"email":"a@b.org"})");
    first.headers.emplace_back("idempotency-key", "k1");
    auto other = first;
    other.body = "{}";
    auto other_key = first;
    other_key.headers.back().second = "k2";
    const RequestMetadata about{first};
    CHECK(about.metadata.command_id == RequestMetadata{first}.metadata.command_id);
    CHECK(about.metadata.command_id == RequestMetadata{other}.metadata.command_id);
    CHECK(about.metadata.command_id != RequestMetadata{other_key}.metadata.command_id);
    CHECK(RequestMetadata{first}.is_digest_in(about.metadata));
    CHECK_FALSE(RequestMetadata{other}.is_digest_in(about.metadata));
}

TEST_CASE("a key is 1 to 255 visible characters")
{
    for (const std::string& key : {std::string{}, std::string{"a b"}, std::string{"\x7f"}, std::string(256, 'k')}) {
        auto request = post("{}");
        request.headers.emplace_back("Idempotency-Key", key);
        CHECK(problem_from([&] { const RequestMetadata about{request}; }).slug == "malformed-idempotency-key");
    }
}

TEST_CASE("correlation and trace are taken over when they are well-formed")
{
    auto request = post("{}");
    request.headers.emplace_back("X-Correlation-Id", "00112233-4455-6677-8899-aabbccddeeff");
    request.headers.emplace_back("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    const RequestMetadata about{request};
    CHECK(to_string(about.metadata.correlation_id) == "00112233-4455-6677-8899-aabbccddeeff");
    CHECK(about.metadata.traceparent == "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    request.headers.back().second = "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    CHECK(RequestMetadata{request}.metadata.traceparent.empty());
    request.headers.back().second = "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01";
    CHECK(RequestMetadata{request}.metadata.traceparent.empty());
}

TEST_CASE("a problem tells the client what concerns it, and nothing of our insides")
{
    const auto response = to_response({400, "invalid-email", "No @.", "email", {}});
    CHECK(response.status == 400);
    CHECK(response.body == R"({"type":"/problems/invalid-email","title":"Bad Request","status":400,"detail":"No @.",)"
                           R"("errors":[{"field":"email","detail":"No @."}]})");
    CHECK(problem_of(std::runtime_error{"secret"}).status == 500);
    CHECK(to_response(problem_of(std::runtime_error{"secret"})).body.find("secret") == std::string::npos);
    CHECK(problem_of(escqrs::StoreError{"/var/secret"}).status == 503);
    CHECK(problem_of(escqrs::CommandDeadlineExceeded{"ChangeEmail"}).status == 503);
    CHECK(problem_of(escqrs::TransportError{"no route"}).status == 503);
    CHECK(problem_of(escqrs::MessageRefused{"m", "'m' cannot be given back"}).status == 409);
    CHECK(to_response(problem_of(escqrs::StoreError{"/var/secret"})).body.find("secret") == std::string::npos);
}
