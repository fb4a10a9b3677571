// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "web_role.hpp"

#include "attendee_api.hpp"
#include "page.hpp"
#include "problem_of.hpp"

#include <escqrs/id_generator.hpp>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <chrono>
#include <utility>

namespace conference::web {
namespace {

const http::Headers& page_headers()
{
    static const http::Headers headers{
        {"Content-Security-Policy",
         "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
         "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"},
        {"X-Content-Type-Options", "nosniff"},
        {"Referrer-Policy", "no-referrer"},
        {"Cache-Control", "no-cache"}};
    return headers;
}

/// A response that notes its status and the time it took, under the name of its route.
class Observed {
public:
    Observed(http::Metrics& metrics, std::string route, std::string method)
        : metrics_{&metrics}, route_{std::move(route)}, method_{std::move(method)}
    {
    }

    void note(unsigned status) const
    {
        metrics_
            ->counter("conference_http_requests_total", "Requests by route and status.",
                      {{"method", method_}, {"route", route_}, {"status", std::to_string(status)}})
            .add();
    }

private:
    http::Metrics* metrics_;
    std::string route_;
    std::string method_;
};

} // namespace

class WebRole::Implementation {
public:
    Implementation(WebRoleOptions options, const escqrs::CommandBus& bus, escqrs::AnyEventStore& store,
                   AttendeeQueries& queries, DeadLetters& dead_letters, http::Metrics& metrics)
        : checks_{std::move(options.checks)}, log_{options.log}, metrics_{&metrics},
          pool_{options.command_threads, options.max_waiting}, watcher_{queries},
          api_{{bus, store, queries, watcher_, dead_letters, pool_, options.organiser_token, options.max_read_wait,
                options.log}}
    {
        api_.add_routes(router_);
        add_page();
        add_health();
        server_ = std::make_unique<http::HttpServer>(
            options.server,
            [this](http::Request request, const http::Responder& responder) { handle(std::move(request), responder); },
            [](unsigned status, std::string_view sentence) {
                return http::to_response({status, {}, std::string{sentence}, {}, {}});
            });
        metrics.gauge("conference_http_connections", "Open connections.",
                      [count = server_->connection_counter()] { return static_cast<double>(count()); });
    }

    std::uint16_t port() const noexcept { return server_->port(); }

    void stop()
    {
        constexpr std::chrono::seconds patience{8};
        server_->stop(patience);
        pool_.stop();
    }

private:
    void handle(http::Request request, const http::Responder& responder)
    {
        try {
            auto match = router_.find(std::move(request));
            if (match.handler != nullptr) {
                const Observed observed{*metrics_, std::string{match.request.route}, match.request.request.method};
                (*match.handler)(std::move(match.request),
                                 responder.observed([observed](unsigned status) { observed.note(status); }));
                return;
            }
            if (match.allowed.empty()) {
                respond_unrouted(responder, {404, {}, "There is nothing at this path.", {}, {}});
            } else {
                std::string allow;
                for (const auto& method : match.allowed) allow.append(allow.empty() ? "" : ", ").append(method);
                respond_unrouted(responder, {405, {}, "This path does not have that method.", {}, {{"Allow", allow}}});
            }
        } catch (const http::BadTarget& error) {
            respond_unrouted(responder, problem_of(error));
        }
    }

    void respond_unrouted(const http::Responder& responder, const http::Problem& problem)
    {
        Observed{*metrics_, "none", "any"}.note(problem.status);
        responder.respond(http::to_response(problem));
    }

    void add_page()
    {
        for (const PageFile& file : page_files()) {
            const std::string etag = '"' + escqrs::to_string(escqrs::name_based_uuid({}, file.content)) + '"';
            router_.on("GET", std::string{file.path},
                       [file, etag](const http::RoutedRequest& request, const http::Responder& responder) {
                           http::Response response{200, page_headers(), {}};
                           response.headers.emplace_back("ETag", etag);
                           if (request.request.header("If-None-Match") == etag) {
                               response.status = 304;
                           } else {
                               response.headers.emplace_back("Content-Type", file.content_type);
                               response.body = file.content;
                           }
                           responder.respond(std::move(response));
                       });
        }
    }

    void add_health()
    {
        router_.on("GET", "/healthz", [](const http::RoutedRequest&, const http::Responder& responder) {
            responder.respond({200, {{"Content-Type", "text/plain"}}, "alive\n"});
        });
        router_.on("GET", "/readyz", [this](const http::RoutedRequest&, const http::Responder& responder) {
            run(responder, [this] { return readiness(); });
        });
        router_.on("GET", "/metrics", [this](const http::RoutedRequest&, const http::Responder& responder) {
            run(responder, [this] {
                return http::Response{
                    200, {{"Content-Type", "text/plain; version=0.0.4; charset=utf-8"}}, metrics_->text()};
            });
        });
    }

    void run(const http::Responder& responder, std::function<http::Response()> work)
    {
        const bool taken = pool_.try_run([responder, work = std::move(work)] { responder.respond(work()); });
        if (!taken)
            responder.respond(http::to_response({503, {}, "We are busy just now.", {}, {{"Retry-After", "1"}}}));
    }

    http::Response readiness() const
    {
        boost::json::array problems;
        for (const auto& check : checks_) {
            std::optional<std::string> problem;
            try {
                problem = check.problem();
            } catch (const std::exception& error) {
                problem = "not available";
                log_("web: " + check.name + ": " + error.what());
            }
            if (problem) problems.push_back(boost::json::object{{"name", check.name}, {"problem", *problem}});
        }
        const unsigned status = problems.empty() ? 200 : 503;
        const boost::json::object body{{"ready", problems.empty()}, {"problems", std::move(problems)}};
        http::Response response{status,
                                {{"Content-Type", "application/json"}, {"Cache-Control", "no-store"}},
                                boost::json::serialize(body)};
        if (status == 503) response.headers.emplace_back("Retry-After", "1");
        return response;
    }

    std::vector<ReadinessCheck> checks_;
    std::function<void(std::string_view)> log_;
    http::Metrics* metrics_;
    http::Router router_;
    http::BlockingPool pool_;
    AttendeeWatcher watcher_;
    AttendeeApi api_;
    std::unique_ptr<http::HttpServer> server_;
};

WebRole::WebRole(WebRoleOptions options, const escqrs::CommandBus& bus, escqrs::AnyEventStore& store,
                 AttendeeQueries& queries, DeadLetters& dead_letters, http::Metrics& metrics)
    : implementation_{std::make_unique<Implementation>(std::move(options), bus, store, queries, dead_letters, metrics)}
{
}

WebRole::~WebRole() { stop(); }

std::uint16_t WebRole::port() const noexcept { return implementation_->port(); }

void WebRole::stop() { implementation_->stop(); }

} // namespace conference::web
