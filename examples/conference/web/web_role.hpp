// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "../http/guess_limit.hpp"
#include "../http/health.hpp"
#include "../http/http_server.hpp"
#include "../http/metrics.hpp"
#include "../read_model/attendee_queries.hpp"

#include <escqrs/commands/command_bus.hpp>
#include <escqrs/messaging/any_message_queue.hpp>
#include <escqrs/store/any_event_store.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace conference::web {

struct WebRoleOptions {
    http::HttpServerOptions server;
    std::string organiser_token;
    http::GuessLimitOptions guesses; ///< of the organiser's token, and of confirmation ids
    std::size_t command_threads =
        64; ///< this many appends can share a commit; where none is waited for, the cores are enough
    std::size_t query_threads = 16;   ///< for queries, histories and event streams, which commands do not wait for
    std::size_t max_waiting = 10'000; ///< commands, or queries, beyond this are refused with a 503
    std::chrono::milliseconds max_read_wait{5000};
    std::chrono::milliseconds drain_patience{6000}; ///< when stopping, for what is under way, before it has to hurry
    std::vector<http::ReadinessCheck> checks;
    http::Log log;
};

/// Serves the page, the API, health and metrics.
class WebRole {
public:
    /// Starts serving. Everything given must outlive the role.
    /// @throws std::system_error if the address cannot be listened on
    WebRole(WebRoleOptions options, const escqrs::CommandBus& bus, escqrs::AnyEventStore& store,
            AttendeeQueries& queries, escqrs::AnyMessageQueue& queue, http::Metrics& metrics);
    ~WebRole();

    std::uint16_t port() const noexcept;

    /// Answers what has arrived, then closes all connections.
    /// @param hurry  called when they have ended, or have not for `drain_patience`: what is still under way must fail soon then,
    ///               and has two seconds to be answered
    void stop(const std::function<void()>& hurry = [] {});

private:
    class Implementation;
    std::unique_ptr<Implementation> implementation_;
};

} // namespace conference::web
