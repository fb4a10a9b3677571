// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "health.hpp"

#include "metrics_page.hpp"

#include <chrono>
#include <memory>
#include <utility>

namespace http {
namespace {

Router health_routes(const Metrics& metrics, std::vector<ReadinessCheck> checks, Log log)
{
    Router router;
    add_health_routes(router, metrics, std::move(checks), std::move(log));
    return router;
}

} // namespace

void add_health_routes(Router& router, const Metrics& metrics, std::vector<ReadinessCheck> checks, Log log)
{
    router.on("GET", "/healthz", [](const RoutedRequest&, const Responder& responder) {
        responder.respond({200, {{"Content-Type", "text/plain"}}, "alive\n"});
    });
    const auto readiness = std::make_shared<Readiness>(std::move(checks), std::move(log));
    router.on("GET", "/readyz",
              [readiness](const RoutedRequest&, const Responder& responder) { readiness->answer(responder); });
    const auto page = std::make_shared<MetricsPage>(metrics);
    router.on("GET", "/metrics", [page](const RoutedRequest&, const Responder& responder) { page->answer(responder); });
}

HealthServer::HealthServer(HttpServerOptions options, Metrics& metrics, std::vector<ReadinessCheck> checks, Log log)
    : server_{std::move(options), health_routes(metrics, std::move(checks), std::move(log)), metrics}
{
}

HealthServer::~HealthServer() // NOLINT(bugprone-exception-escape): stopping throws only where memory has run out
{
    constexpr std::chrono::seconds patience{3};
    server_.stop(patience);
}

} // namespace http
