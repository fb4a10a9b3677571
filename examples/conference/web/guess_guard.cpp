// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "guess_guard.hpp"

#include "../http/problem.hpp"

#include <chrono>
#include <string_view>
#include <utility>

namespace conference::web {
namespace {

http::Metrics::Counter* counter_of(http::Metrics& metrics, const std::string& secret, std::string_view outcome)
{
    return &metrics.counter("conference_guesses_total",
                            "Wrong tries of a secret, and tries refused because too many came before.",
                            {{"secret", secret}, {"outcome", outcome}});
}

} // namespace

GuessGuard::GuessGuard(std::string secret, const http::GuessLimitOptions& limit, http::BlockingPool& pool,
                       http::Metrics& metrics, http::Log log)
    : secret_{std::move(secret)}, pool_{&pool}, limit_{limit}, log_{std::move(log)},
      wrong_{counter_of(metrics, secret_, "wrong")}, refused_{counter_of(metrics, secret_, "refused")}
{
}

void GuessGuard::take_turn(const std::string& client, const http::Responder& responder,
                           const std::function<void()>& work)
{
    const auto wait = limit_.take(client);
    if (!wait) {
        refused_->add();
        const auto seconds = std::chrono::ceil<std::chrono::seconds>(limit_.longest_wait()).count();
        responder.respond(http::to_response({429,
                                             "too-many-tries",
                                             "Too many wrong tries came from your address. Please try again later.",
                                             {},
                                             {{"Retry-After", std::to_string(seconds)}}}));
    } else if (*wait == http::GuessLimit::Duration::zero()) {
        work();
    } else if (!pool_->run_after(std::chrono::ceil<std::chrono::milliseconds>(*wait), work)) {
        responder.respond(http::busy());
    }
}

void GuessGuard::was_wrong(const std::string& client)
{
    limit_.was_wrong(client);
    wrong_->add();
    log_("web: wrong " + secret_ + " from " + client);
}

} // namespace conference::web
