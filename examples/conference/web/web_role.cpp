// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "web_role.hpp"

#include "../http/field_values.hpp"
#include "../http/problem.hpp"
#include "../http/routed_server.hpp"
#include "attendee_api.hpp"
#include "page.hpp"

#include <escqrs/core/id_generator.hpp>

#include <algorithm>
#include <chrono>
#include <string_view>
#include <utility>

namespace conference::web {
namespace {

constexpr std::string_view missing_page = "/404.html";

const http::Headers& page_headers()
{
    static const http::Headers headers{
        {"Content-Security-Policy",
         "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
         "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"},
        {"Referrer-Policy", "no-referrer"},
        {"Cache-Control", "no-cache"}};
    return headers;
}

} // namespace

class WebRole::Implementation {
public:
    Implementation(WebRoleOptions options, const escqrs::CommandBus& bus, escqrs::AnyEventStore& store,
                   AttendeeQueries& queries, escqrs::AnyMessageQueue& queue, http::Metrics& metrics)
        : patience_{options.drain_patience}, command_pool_{options.command_threads, options.max_waiting, options.log},
          query_pool_{options.query_threads, options.max_waiting, options.log}, watcher_{queries},
          api_{{bus, store, queries, watcher_, queue, command_pool_, query_pool_, metrics, options.organiser_token,
                options.max_read_wait, options.log, options.guesses}},
          server_{with_log(std::move(options.server), options.log),
                  routes(metrics, std::move(options.checks), options.log), metrics},
          gauges_{metrics}
    {
        gauges_.add("conference_http_connections", "Open connections.",
                    [count = server_.connection_counter()] { return static_cast<double>(count()); });
        gauges_.add("conference_http_unsent_bytes",
                    "Bytes of answers and event streams that clients have not taken yet.",
                    [count = server_.unsent_counter()] { return static_cast<double>(count()); });
    }

    std::uint16_t port() const noexcept { return server_.port(); }

    void stop(const std::function<void()>& hurry)
    {
        constexpr std::chrono::seconds rest{2};
        (void)server_.drain(patience_);
        hurry();
        server_.stop(rest);
        for (http::BlockingPool* const pool : {&command_pool_, &query_pool_}) pool->stop();
    }

private:
    static http::HttpServerOptions with_log(http::HttpServerOptions server, const http::Log& log)
    {
        server.log = log;
        return server;
    }

    http::Router routes(const http::Metrics& metrics, std::vector<http::ReadinessCheck> checks, http::Log log)
    {
        http::Router router;
        api_.add_routes(router);
        add_page(router);
        http::add_health_routes(router, metrics, std::move(checks), std::move(log));
        return router;
    }

    static void add_page(http::Router& router)
    {
        for (const PageFile& file : page_files()) {
            if (file.path == missing_page) continue;
            const std::string etag = '"' + escqrs::to_string(escqrs::name_based_uuid({}, file.content)) + '"';
            router.on("GET", std::string{file.path},
                      [file, etag](const http::RoutedRequest& request, const http::Responder& responder) {
                          http::Response response{200, page_headers(), {}};
                          response.headers.emplace_back("ETag", etag);
                          if (http::is_unchanged(request.request, etag)) {
                              response.status = 304;
                          } else {
                              response.headers.emplace_back("Content-Type", file.content_type);
                              response.body = file.content;
                          }
                          responder.respond(std::move(response));
                      });
        }
        router.on_missing([](const http::RoutedRequest& request, const http::Responder& responder) {
            responder.respond(missing(request.request));
        });
    }

    /// A person with a browser gets a page; programs get a problem, as everywhere.
    static http::Response missing(const http::Request& request)
    {
        const bool is_api = request.target.starts_with("/api/");
        http::Response response = http::to_response({404, {}, "There is nothing at this path.", {}, {}});
        if (!is_api && http::asks_for(request, "text/html")) {
            const auto page = std::ranges::find(page_files(), missing_page, &PageFile::path);
            response = {404, page_headers(), std::string{page->content}};
            response.headers.emplace_back("Content-Type", page->content_type);
        }
        response.headers.emplace_back("Vary", "Accept");
        return response;
    }

    std::chrono::milliseconds patience_;
    http::BlockingPool command_pool_;
    http::BlockingPool query_pool_;
    AttendeeWatcher watcher_;
    AttendeeApi api_;
    http::RoutedServer server_; ///< after what it uses, so that it ends before
    http::Gauges gauges_;
};

WebRole::WebRole(WebRoleOptions options, const escqrs::CommandBus& bus, escqrs::AnyEventStore& store,
                 AttendeeQueries& queries, escqrs::AnyMessageQueue& queue, http::Metrics& metrics)
    : implementation_{std::make_unique<Implementation>(std::move(options), bus, store, queries, queue, metrics)}
{
}

WebRole::~WebRole()
{
    stop([] {});
}

std::uint16_t WebRole::port() const noexcept { return implementation_->port(); }

void WebRole::stop(const std::function<void()>& hurry) { implementation_->stop(hurry); }

} // namespace conference::web
