// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "../http/blocking_pool.hpp"
#include "../http/guess_limit.hpp"
#include "../http/metrics.hpp"
#include "../http/rate_limited_log.hpp"

#include <functional>
#include <string>

namespace conference::web {

/// Makes guessing one kind of secret visible, and a burden for who does it: wrong tries are logged and counted, and tries that
/// `take_turn` wait by the rules of `GuessLimit`. Waiting holds no thread.
/// @par Thread safety  any thread
class GuessGuard {
public:
    /// @param secret         what is guessed, for log and metric
    /// @param pool, metrics  must outlive the guard
    GuessGuard(std::string secret, const http::GuessLimitOptions& limit, http::BlockingPool& pool,
               http::Metrics& metrics, http::Log log);

    /// Charges the client with a try and runs `work` when it is its turn: at once on this thread, or later on the pool.
    /// Responds with a 429 if too many tries of the client wait already.
    void take_turn(const std::string& client, const http::Responder& responder, const std::function<void()>& work);

    /// The try was right: the charge is taken back.
    void was_right(const std::string& client) { limit_.was_right(client); }
    void was_wrong(const std::string& client);

private:
    std::string secret_;
    http::BlockingPool* pool_;
    http::GuessLimit limit_;
    http::RateLimitedLog log_;
    http::Metrics::Counter* wrong_;
    http::Metrics::Counter* refused_;
};

} // namespace conference::web
