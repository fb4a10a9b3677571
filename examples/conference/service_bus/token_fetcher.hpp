// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "token_source.hpp"

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

namespace service_bus {

/// Asks a token source on a thread that does nothing else, because a server may let it wait.
/// @par Thread safety  any thread
class TokenFetcher {
public:
    /// Gets the token, or why there is none.
    using Done = std::function<void(std::optional<AccessToken> token, const std::string& problem)>;

    explicit TokenFetcher(TokenSource source) : source_{std::move(source)} {}

    /// As `stop`.
    ~TokenFetcher() { stop(); }

    TokenFetcher(const TokenFetcher&) = delete;
    TokenFetcher& operator=(const TokenFetcher&) = delete;

    /// Calls `done` on the fetcher's thread, after the answers to earlier calls; never if `owner` has gone by then.
    void ask(std::string resource, std::weak_ptr<void> owner, Done done);

    /// The broker has refused this token: the source is to return another one.
    void refused(std::string token);

    /// Stops the source and returns when it has returned. Nothing is called after that, and later asks are dropped.
    void stop() noexcept;

private:
    struct Ask {
        std::string resource;
        std::weak_ptr<void> owner;
        Done done;
    };

    void run(const std::stop_token& stop) noexcept;

    const TokenSource source_;
    std::mutex mutex_;
    std::condition_variable_any asked_;
    std::deque<Ask> asks_;
    std::string refused_;
    bool is_stopped_ = false;
    std::jthread thread_; ///< begins with the first ask
};

} // namespace service_bus
