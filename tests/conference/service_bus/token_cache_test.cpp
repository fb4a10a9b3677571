// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <service_bus/token_cache.hpp>
#include <service_bus/token_fetcher.hpp>

#include <escqrs/testing/catch2.hpp>
#include <escqrs/testing/manual_clock.hpp>

#include <atomic>
#include <chrono>
#include <future>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace service_bus;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;

/// A server that hands out "token 1", "token 2" and so on, and a cache of its tokens.
struct CachedServer {
    escqrs::testing::ManualClock clock;
    int asked = 0;
    escqrs::Duration lifetime = 1h;
    std::optional<TokenError> failure;
    TokenSource source = cached(
        [this](const TokenRequest&) {
            ++asked;
            if (failure) throw TokenError{*failure};
            return AccessToken{"token " + std::to_string(asked), TokenType::jwt, clock.now() + lifetime, {}};
        },
        clock, [] { return 0.5; });

    std::string get(const std::string& refused = {}) { return source({"sb://host/queue", refused, {}}).text; }

    std::string error(const std::string& refused = {})
    {
        try {
            (void)get(refused);
        } catch (const TokenError& error) {
            return error.what();
        }
        return {};
    }
};

} // namespace

TEST_CASE("a token is shared by all callers, and the next one is requested well before its end")
{
    CachedServer server;
    CHECK(server.get() == "token 1");
    server.clock.advance(45min - 1us);
    CHECK(server.get() == "token 1");
    CHECK(server.asked == 1);
    server.clock.advance(1us);
    CHECK(server.get() == "token 2");
    server.clock.advance(44min);
    CHECK(server.get() == "token 2");
}

TEST_CASE("a token that lives on for seconds is not asked for again at once")
{
    CachedServer server;
    server.lifetime = 2s;
    CHECK(server.get() == "token 1");
    server.clock.advance(2s - 1us);
    CHECK(server.get() == "token 1");
    server.clock.advance(1us);
    CHECK_THAT(server.error(), Contains("the token has ended; asking again in 28 s"));
    server.clock.advance(28s);
    CHECK(server.get() == "token 2");
    CHECK(server.asked == 2);
}

TEST_CASE("while renewing fails the old token is returned, with the reason, for as long as it is good")
{
    CachedServer server;
    (void)server.get();
    server.clock.advance(50min);
    server.failure = TokenError{"the server is ill"};
    const AccessToken token = server.source({"sb://host/queue", {}, {}});
    CHECK(token.text == "token 1");
    CHECK(token.problem == "the server is ill");
    CHECK(server.asked == 2);
    CHECK(server.source({"sb://host/queue", {}, {}}).problem == "the server is ill");
    CHECK(server.asked == 2); // its pause
    server.clock.advance(10min);
    CHECK_THAT(server.error(), Contains("the server is ill"));
    server.failure.reset();
    server.clock.advance(1min);
    CHECK(server.source({"sb://host/queue", {}, {}}).problem.empty());
}

TEST_CASE("a server that fails is asked after growing pauses, or when it wants to be asked")
{
    CachedServer server;
    const auto pause = [&] {
        escqrs::Duration length{};
        for (const int asked = server.asked; asked == server.asked; length += 100ms) {
            server.clock.advance(100ms);
            CHECK_THAT(server.error(), Contains("not now"));
        }
        return length;
    };
    server.failure = TokenError{"not now"};
    CHECK(server.error() == "not now");
    CHECK(server.error() == "not now; asking again in 1 s");
    for (const auto expected : {800ms, 1600ms, 3200ms, 6400ms, 12'800ms, 25'600ms, 51'200ms, 60'000ms})
        CHECK(pause() == expected);
    server.failure = TokenError{"not now", 90s};
    CHECK(pause() == 60s);
    server.failure.reset();
    server.clock.advance(90s - 1us);
    CHECK(server.error() == "not now; asking again in 1 s");
    server.clock.advance(1us);
    CHECK(server.error().empty());
    server.clock.advance(1h);
    server.failure = TokenError{"not now", std::nullopt, true};
    CHECK(server.error() == "not now");
    CHECK(pause() == 60s);
}

TEST_CASE("a token that the broker has refused is not returned again")
{
    CachedServer server;
    CHECK(server.get() == "token 1");
    CHECK_THAT(server.error("token 1"), Contains("the broker has refused the token; asking again in 30 s"));
    server.clock.advance(30s);
    CHECK(server.get("token 1") == "token 2");
    CHECK(server.get("token 1") == "token 2");
    CHECK(server.asked == 2);
}

TEST_CASE("a token that the broker has refused is put again if the source has no other: it may be good by then")
{
    escqrs::testing::ManualClock clock;
    int asked = 0;
    const TokenSource source = cached(
        [&](const TokenRequest&) {
            ++asked;
            return AccessToken{"the only one", TokenType::jwt, clock.now() + 24h, {}};
        },
        clock);
    CHECK(source({"sb://host/queue", {}, {}}).text == "the only one");
    CHECK_THROWS_AS(source({"sb://host/queue", "the only one", {}}), TokenError);
    clock.advance(30s);
    CHECK(source({"sb://host/queue", "the only one", {}}).text == "the only one");
    CHECK(asked == 2);
}

TEST_CASE("a token that has ended already is an error that names its end")
{
    CachedServer server;
    server.lifetime = -1s;
    CHECK_THAT(server.error(), Contains("the token that came ended at "));
}

TEST_CASE("callers wait for the one that asks, and a stopped one does not")
{
    std::promise<void> asked;
    std::promise<void> go_on;
    std::atomic<int> count{0};
    const TokenSource source = cached([&](const TokenRequest&) {
        if (++count == 1) asked.set_value();
        go_on.get_future().wait();
        return AccessToken{"token", TokenType::jwt, escqrs::system_clock().now() + 1h, {}};
    });
    auto first = std::async(std::launch::async, [&] { return source({}).text; });
    asked.get_future().wait();
    auto second = std::async(std::launch::async, [&] { return source({}).text; });
    std::stop_source stop;
    auto third = std::async(std::launch::async, [&] { return source({{}, {}, stop.get_token()}).text; });
    stop.request_stop();
    CHECK_THROWS_AS(third.get(), TokenError);
    go_on.set_value();
    CHECK(first.get() == "token");
    CHECK(second.get() == "token");
    CHECK(count == 1);
}

TEST_CASE("the fetcher stops a source that waits, and calls nothing afterwards")
{
    std::promise<void> asked;
    bool is_called = false;
    const auto owner = std::make_shared<int>();
    TokenFetcher fetcher{[&](const TokenRequest& request) -> AccessToken {
        std::promise<void> stopped;
        const std::stop_callback on_stop{request.stop, [&] { stopped.set_value(); }};
        asked.set_value();
        stopped.get_future().wait();
        throw TokenError{"stopped"};
    }};
    fetcher.ask("sb://host/queue", owner, [&](const auto&, const auto&) { is_called = true; });
    asked.get_future().wait();
    fetcher.ask("sb://host/queue", owner, [&](const auto&, const auto&) { is_called = true; });
    fetcher.stop();
    fetcher.ask("sb://host/queue", owner, [&](const auto&, const auto&) { is_called = true; });
    CHECK_FALSE(is_called);
}

TEST_CASE("the fetcher passes refused tokens to the source, and forgets callers that are gone")
{
    std::promise<std::string> seen;
    TokenFetcher fetcher{[&](const TokenRequest& request) -> AccessToken {
        if (request.resource == "sb://host/gone") throw TokenError{"asked for a caller that is gone"};
        return {"token for " + request.resource + ", not " + request.refused, TokenType::jwt, {}, {}};
    }};
    fetcher.refused("the old one");
    fetcher.ask("sb://host/gone", std::weak_ptr<void>{},
                [&](const auto&, const std::string& problem) { seen.set_value(problem); });
    const auto owner = std::make_shared<int>();
    fetcher.ask("sb://host/queue", owner, [&](const auto& token, const auto&) { seen.set_value(token->text); });
    CHECK(seen.get_future().get() == "token for sb://host/queue, not the old one");
}
