// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "token_cache.hpp"

#include "recovery.hpp"

#include <escqrs/core/error.hpp>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

namespace service_bus {
namespace {

constexpr std::chrono::seconds least_interval{30};
constexpr std::chrono::minutes longest_pause{1};
constexpr std::chrono::minutes longest_wish{10}; ///< of a server

class TokenCache {
public:
    TokenCache(TokenSource source, escqrs::Clock& clock, escqrs::Jitter jitter)
        : source_{std::move(source)}, clock_{&clock},
          backoff_{reconnect_backoff(std::chrono::milliseconds{800}, longest_pause, std::move(jitter))}
    {
    }

    AccessToken get(const TokenRequest& request)
    {
        std::unique_lock lock{mutex_};
        for (;;) {
            const escqrs::SteadyTime now = clock_->steady();
            const bool is_good = token_ && now < expires_at_ && token_->text != request.refused;
            if (is_good && now < renew_at_) return *token_;
            if (!is_asking_ && now >= not_before_) break;
            if (is_good) return with_problem();
            if (!is_asking_) refuse(request, now);
            clock_->wait_for(lock, answered_, longest_wish, request.stop, [this] { return !is_asking_; });
            if (request.stop.stop_requested()) throw TokenError{"stopped while waiting for a token"};
        }
        is_asking_ = true;
        lock.unlock();
        std::optional<AccessToken> token;
        std::exception_ptr failure;
        try {
            token = ask(request);
        } catch (...) {
            failure = std::current_exception();
        }
        lock.lock();
        is_asking_ = false;
        answered_.notify_all();
        if (token) return keep(*std::move(token));
        if (!request.stop.stop_requested()) note(failure);
        if (token_ && clock_->steady() < expires_at_ && token_->text != request.refused) return with_problem();
        std::rethrow_exception(failure);
    }

private:
    AccessToken ask(const TokenRequest& request)
    {
        AccessToken token = source_(request);
        if (token.expires_at <= clock_->now())
            throw TokenError{"the token that came ended at " + escqrs::to_rfc3339(token.expires_at) +
                             ", and it is later than that here"};
        return token;
    }

    AccessToken keep(AccessToken token)
    {
        const escqrs::SteadyTime now = clock_->steady();
        expires_at_ = escqrs::later_by(now, escqrs::time_until(token.expires_at, clock_->now()));
        renew_at_ = renewal_time(now, expires_at_);
        not_before_ = now + least_interval;
        problem_.clear();
        backoff_.reset();
        token_ = std::move(token);
        return *token_;
    }

    void note(const std::exception_ptr& failure)
    {
        problem_ = escqrs::text_of(failure);
        escqrs::Duration pause = backoff_.next();
        try {
            std::rethrow_exception(failure);
        } catch (const TokenError& error) {
            if (error.is_permanent()) pause = longest_pause;
            if (error.retry_after()) pause = std::clamp<escqrs::Duration>(*error.retry_after(), pause, longest_wish);
        } catch (...) { // NOLINT(bugprone-empty-catch): it says nothing about when to ask again
        }
        not_before_ = clock_->steady() + pause;
    }

    AccessToken with_problem() const
    {
        AccessToken token = *token_;
        token.problem = problem_;
        return token;
    }

    [[noreturn]] void refuse(const TokenRequest& request, escqrs::SteadyTime now) const
    {
        std::string why = problem_;
        if (why.empty())
            why =
                token_ && token_->text == request.refused ? "the broker has refused the token" : "the token has ended";
        const auto pause = std::chrono::ceil<std::chrono::seconds>(not_before_ - now);
        throw TokenError{why + "; asking again in " + std::to_string(pause.count()) + " s", not_before_ - now};
    }

    const TokenSource source_;
    escqrs::Clock* const clock_;
    std::mutex mutex_;
    std::condition_variable_any answered_;
    escqrs::Backoff backoff_;
    std::optional<AccessToken> token_;
    escqrs::SteadyTime expires_at_ = escqrs::SteadyTime::min();
    escqrs::SteadyTime renew_at_ = escqrs::SteadyTime::min();
    escqrs::SteadyTime not_before_ = escqrs::SteadyTime::min();
    std::string problem_; ///< of the last time that the source was asked
    bool is_asking_ = false;
};

} // namespace

TokenSource cached(TokenSource source, escqrs::Clock& clock, escqrs::Jitter jitter)
{
    const auto cache = std::make_shared<TokenCache>(std::move(source), clock, std::move(jitter));
    return [cache](const TokenRequest& request) { return cache->get(request); };
}

} // namespace service_bus
