// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "metrics.hpp"
#include "readiness.hpp"
#include "routed_server.hpp"
#include "router.hpp"

#include <cstdint>
#include <vector>

namespace http {

/// Adds the routes /healthz, which says that the process is alive; /readyz, which names what keeps it from its work, with
/// 503 if there is anything, and answers within a second (see `Readiness`); /metrics, in the Prometheus text format, which answers
/// within three seconds (see `MetricsPage`).
/// @param metrics  must outlive the router, as what the checks refer to
void add_health_routes(Router& router, const Metrics& metrics, std::vector<ReadinessCheck> checks, Log log);

/// Serves those routes and nothing else.
class HealthServer {
public:
    /// Starts serving.
    /// @param metrics  must outlive the server, as what the checks refer to
    /// @throws std::system_error if the address cannot be listened on
    HealthServer(HttpServerOptions options, Metrics& metrics, std::vector<ReadinessCheck> checks, Log log);
    ~HealthServer(); // NOLINT(bugprone-exception-escape): stopping throws only where memory has run out

    HealthServer(const HealthServer&) = delete;
    HealthServer& operator=(const HealthServer&) = delete;

    std::uint16_t port() const noexcept { return server_.port(); }

private:
    RoutedServer server_;
};

} // namespace http
