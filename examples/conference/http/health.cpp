// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "health.hpp"

#include "problem.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <utility>

namespace conference::http {
namespace {

Router health_routes(BlockingPool& pool, const Metrics& metrics, std::vector<ReadinessCheck> checks, Log log)
{
    Router router;
    add_health_routes(router, pool, metrics, std::move(checks), std::move(log));
    return router;
}

} // namespace

void add_health_routes(Router& router, BlockingPool& pool, const Metrics& metrics, std::vector<ReadinessCheck> checks,
                       Log log)
{
    const auto add = [&](const char* path, std::function<Response()> work) {
        router.on("GET", path, [&pool, work = std::move(work)](const RoutedRequest&, const Responder& responder) {
            const bool taken = pool.try_run([responder, work] { responder.respond_with(work); });
            if (!taken) responder.respond(busy());
        });
    };
    router.on("GET", "/healthz", [](const RoutedRequest&, const Responder& responder) {
        responder.respond({200, {{"Content-Type", "text/plain"}}, "alive\n"});
    });
    const auto readiness = std::make_shared<Readiness>(std::move(checks), std::move(log));
    router.on("GET", "/readyz",
              [readiness](const RoutedRequest&, const Responder& responder) { readiness->answer(responder); });
    add("/metrics", [&metrics] {
        return Response{200, {{"Content-Type", "text/plain; version=0.0.4; charset=utf-8"}}, metrics.text()};
    });
}

HealthServer::HealthServer(HttpServerOptions options, Metrics& metrics, std::vector<ReadinessCheck> checks, Log log)
    : server_{std::move(options), health_routes(pool_, metrics, std::move(checks), std::move(log)), metrics}
{
}

HealthServer::~HealthServer() // NOLINT(bugprone-exception-escape): stopping throws only where memory has run out
{
    constexpr std::chrono::seconds patience{3};
    server_.stop(patience);
    pool_.stop();
}

} // namespace conference::http
