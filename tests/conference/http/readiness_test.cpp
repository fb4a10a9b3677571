// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "http/health.hpp"

#include "client.hpp"

#include <escqrs/testing/catch2.hpp>

#include <atomic>
#include <future>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

using namespace conference;
using conference::test::Client;

namespace {

http::HttpServerOptions any_port()
{
    http::HttpServerOptions options;
    options.port = 0;
    return options;
}

} // namespace

TEST_CASE("readiness is answered in time while a check takes long, with what is known so far")
{
    std::promise<void> released;
    const auto until_released = released.get_future().share();
    std::atomic<int> looks{0};
    std::atomic<bool> is_in_order{false};
    http::Metrics metrics;
    http::HealthServer server{any_port(),
                              metrics,
                              {{"first",
                                [&]() -> std::optional<std::string> {
                                    ++looks;
                                    if (is_in_order) return std::nullopt;
                                    return "out of order";
                                }},
                               {"slow",
                                [&]() -> std::optional<std::string> {
                                    until_released.wait();
                                    return std::nullopt;
                                }}},
                              [](std::string_view) {}};
    constexpr std::string_view request = "GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n";
    std::vector<std::unique_ptr<Client>> clients;
    for (int count = 0; count < 10; ++count) {
        clients.push_back(std::make_unique<Client>(server.port()));
        clients.back()->send(std::string{request});
    }
    for (const auto& client : clients) {
        const auto reply = client->read();
        CHECK(reply.status == 503);
        CHECK_THAT(reply.body, Catch::Contains("out of order") && Catch::Contains("slow") &&
                                   Catch::Contains("has not answered for"));
    }
    CHECK(clients.front()->request("GET", "/readyz").status == 503);
    CHECK(looks == 1);
    is_in_order = true;
    released.set_value();
    while (clients.front()->request("GET", "/readyz").status != 200) {}
    CHECK(looks > 1);
}

TEST_CASE("a readiness check that throws is one that is not in order")
{
    http::Metrics metrics;
    std::string lines;
    http::HealthServer server{any_port(),
                              metrics,
                              {{"store", []() -> std::optional<std::string> { throw std::runtime_error{"a secret"}; }},
                               {"other", []() -> std::optional<std::string> { throw 7; }}},
                              [&](std::string_view line) { lines.append(line); }};
    const auto reply = Client{server.port()}.request("GET", "/readyz");
    CHECK(reply.status == 503);
    CHECK_THAT(reply.body, Catch::Contains("store") && Catch::Contains("other") && !Catch::Contains("a secret"));
    CHECK_THAT(lines, Catch::Contains("a secret"));
}
