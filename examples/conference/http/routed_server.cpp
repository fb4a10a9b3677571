// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "routed_server.hpp"

#include <string>
#include <string_view>
#include <utility>

namespace http {
namespace {

void count(Metrics& metrics, const std::string& route, const std::string& method, unsigned status)
{
    metrics
        .counter("conference_http_requests_total", "Requests by route and status.",
                 {{"method", method}, {"route", route}, {"status", std::to_string(status)}})
        .add();
}

} // namespace

RoutedServer::RoutedServer(HttpServerOptions options, Router router, Metrics& metrics)
    : router_{std::move(router)}, metrics_{&metrics},
      server_{std::move(options),
              [this](Request request, const Responder& responder) { handle(std::move(request), responder); },
              [](unsigned status, std::string_view sentence) {
                  return to_response({status, {}, std::string{sentence}, {}, {}});
              }}
{
}

void RoutedServer::handle(Request request, const Responder& responder) const
{
    try {
        auto match = router_.find(std::move(request));
        if (match.handler != nullptr) {
            const auto observer = [metrics = metrics_, route = std::string{match.request.route},
                                   method = match.request.request.method](unsigned status) {
                count(*metrics, route, method, status);
            };
            (*match.handler)(std::move(match.request), responder.observed(observer));
            return;
        }
        if (match.allowed.empty()) {
            respond_unrouted(responder, {404, {}, "There is nothing at this path.", {}, {}});
        } else {
            std::string allow;
            for (const auto& method : match.allowed) allow.append(allow.empty() ? "" : ", ").append(method);
            respond_unrouted(responder, {405, {}, "This path does not have that method.", {}, {{"Allow", allow}}});
        }
    } catch (const BadTarget& error) {
        respond_unrouted(responder, {400, {}, error.what(), {}, {}});
    }
}

void RoutedServer::respond_unrouted(const Responder& responder, const Problem& problem) const
{
    count(*metrics_, "none", "any", problem.status);
    responder.respond(to_response(problem));
}

} // namespace http
