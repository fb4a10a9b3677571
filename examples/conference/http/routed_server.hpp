// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "http_server.hpp"
#include "metrics.hpp"
#include "problem.hpp"
#include "router.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace http {

/// A server that leads each request to its route, answers what has none with a problem, and counts all of them.
class RoutedServer {
public:
    /// Starts serving.
    /// @param metrics  must outlive the server, as what the router's handlers refer to
    /// @throws std::system_error if the address cannot be listened on
    RoutedServer(HttpServerOptions options, Router router, Metrics& metrics);

    std::uint16_t port() const noexcept { return server_.port(); }
    std::function<std::size_t()> connection_counter() const { return server_.connection_counter(); }
    std::function<std::size_t()> unsent_counter() const { return server_.unsent_counter(); }

    /// As `HttpServer::drain`.
    bool drain(std::chrono::milliseconds patience) { return server_.drain(patience); }

    /// As `HttpServer::stop`.
    void stop(std::chrono::milliseconds patience) { server_.stop(patience); }

private:
    void handle(Request request, const Responder& responder) const;
    void respond_unrouted(const Responder& responder, const Problem& problem) const;

    Router router_;
    Metrics* metrics_;
    HttpServer server_; ///< last: it ends before what it uses
};

} // namespace http
