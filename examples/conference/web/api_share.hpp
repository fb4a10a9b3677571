// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "../http/rate_limited_log.hpp"
#include "attendee_api.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <utility>

namespace conference::web {

/// Makes the response to a request. Runs on a pool, where it may wait for a disk.
using Work = std::function<http::Response(const http::RoutedRequest&)>;

/// What the API's routes, waits and streams share: the parts they work with, and how they answer.
struct ApiShare : std::enable_shared_from_this<ApiShare> {
    explicit ApiShare(AttendeeApiParts given) : parts{std::move(given)}, log{parts.log} {}

    /// What `work` returns, or the problem that it throws. A lack of memory is left to the server.
    http::Response answer(escqrs::FunctionRef<http::Response()> work) const;

    /// The problem that `work` throws, if it does.
    std::optional<http::Response> problem_in(escqrs::FunctionRef<void()> work) const;

    /// Runs `work`, which responds, on the pool. If that is full, or has no thread for it in time, as when all of them
    /// wait for a silent database, the client is asked to come back.
    void run_in_time(http::BlockingPool& pool, const http::Responder& responder, std::function<void()> work) const;

    /// Runs `work` on the pool and responds with its answer.
    void run(http::BlockingPool& pool, http::RoutedRequest request, const http::Responder& responder, Work work) const;

    AttendeeApiParts parts;
    mutable http::RateLimitedLog log; ///< thousands of requests and streams may meet the same failure
};

using ApiSharePtr = std::shared_ptr<const ApiShare>;

} // namespace conference::web
