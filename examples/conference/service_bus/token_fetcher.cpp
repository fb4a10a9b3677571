// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include "token_fetcher.hpp"

#include <exception>
#include <utility>

namespace service_bus {

void TokenFetcher::ask(std::string resource, std::weak_ptr<void> owner, Done done)
{
    const std::scoped_lock lock{mutex_};
    if (is_stopped_) return;
    // While a source hangs, connections come and go.
    std::erase_if(asks_, [](const Ask& other) { return other.owner.expired(); });
    asks_.push_back({std::move(resource), std::move(owner), std::move(done)});
    if (!thread_.joinable()) thread_ = std::jthread{[this](const std::stop_token& stop) { run(stop); }};
    asked_.notify_one();
}

void TokenFetcher::refused(std::string token)
{
    const std::scoped_lock lock{mutex_};
    refused_ = std::move(token);
}

void TokenFetcher::stop() noexcept
{
    {
        const std::scoped_lock lock{mutex_};
        is_stopped_ = true;
    }
    thread_.request_stop();
    if (thread_.joinable()) thread_.join();
}

void TokenFetcher::run(const std::stop_token& stop) noexcept
{
    for (;;) {
        std::unique_lock lock{mutex_};
        if (!asked_.wait(lock, stop, [this] { return !asks_.empty(); }) || stop.stop_requested()) return;
        Ask ask = std::move(asks_.front());
        asks_.pop_front();
        const TokenRequest request{std::move(ask.resource), refused_, stop};
        lock.unlock();
        if (ask.owner.expired()) continue;
        std::optional<AccessToken> token;
        std::string problem;
        try {
            token = source_(request);
        } catch (...) {
            problem = escqrs::text_of(std::current_exception());
        }
        if (stop.stop_requested()) return;
        ask.done(std::move(token), problem);
    }
}

} // namespace service_bus
