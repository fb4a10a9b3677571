// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "health.hpp"

#include "problem.hpp"
#include "rate_limited_log.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <chrono>
#include <exception>
#include <memory>
#include <utility>

namespace conference::http {
namespace {

namespace json = boost::json;

Response readiness(const std::vector<ReadinessCheck>& checks, RateLimitedLog& log)
{
    json::array problems;
    for (const auto& check : checks) {
        std::optional<std::string> problem;
        try {
            problem = check.problem();
        } catch (const std::exception& error) {
            problem = "not available";
            log("not ready: " + check.name + ": " + error.what());
        } catch (...) {
            problem = "not available";
            log("not ready: " + check.name);
        }
        if (problem) problems.push_back(json::object{{"name", check.name}, {"problem", *problem}});
    }
    const unsigned status = problems.empty() ? 200 : 503;
    const json::object body{{"ready", problems.empty()}, {"problems", std::move(problems)}};
    Response response{
        status, {{"Content-Type", "application/json"}, {"Cache-Control", "no-store"}}, json::serialize(body)};
    if (status == 503) response.headers.emplace_back("Retry-After", "1");
    return response;
}

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
    add("/readyz", [checks = std::move(checks), log = std::make_shared<RateLimitedLog>(std::move(log))] {
        return readiness(checks, *log);
    });
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
