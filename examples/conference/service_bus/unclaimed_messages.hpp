// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/messaging.hpp>

#include <algorithm>
#include <cstddef>
#include <deque>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace service_bus {

/// Messages that were received and not handed out: they came ahead of any call, or after the one that had asked for them.
/// They keep the order in which they came. A source is whatever they came over: only its address counts.
/// @par Thread safety  none
class UnclaimedMessages {
public:
    void add(escqrs::ReceivedMessage message, const void* source, escqrs::SteadyTime now)
    {
        messages_.push_back({std::move(message), source, now});
    }

    /// Takes up to `at_most` messages of these sources.
    std::vector<escqrs::ReceivedMessage> take(std::size_t at_most, std::span<const void* const> sources)
    {
        std::vector<escqrs::ReceivedMessage> taken;
        for (auto at = messages_.begin(); at != messages_.end() && taken.size() < at_most;) {
            if (std::ranges::find(sources, at->source) == sources.end()) {
                ++at;
            } else {
                taken.push_back(std::move(at->message));
                at = messages_.erase(at);
            }
        }
        return taken;
    }

    /// Takes those of a source that have been here since `moment` or longer. @return their lock tokens
    std::vector<std::string> take_older_than(escqrs::SteadyTime moment, const void* source)
    {
        std::vector<std::string> tokens;
        for (const Unclaimed& each : messages_) {
            if (each.source == source && each.since <= moment) tokens.push_back(each.message.lock_token);
        }
        for (const std::string& token : tokens) erase(token);
        return tokens;
    }

    void erase(const std::string& lock_token)
    {
        std::erase_if(messages_, [&](const Unclaimed& each) { return each.message.lock_token == lock_token; });
    }
    void erase_all_of(const void* source)
    {
        std::erase_if(messages_, [&](const Unclaimed& each) { return each.source == source; });
    }

    std::size_t count_of(const void* source) const
    {
        return static_cast<std::size_t>(std::ranges::count(messages_, source, &Unclaimed::source));
    }
    std::size_t size() const noexcept { return messages_.size(); }
    bool empty() const noexcept { return messages_.empty(); }

private:
    struct Unclaimed {
        escqrs::ReceivedMessage message;
        const void* source;
        escqrs::SteadyTime since;
    };

    std::deque<Unclaimed> messages_;
};

} // namespace service_bus
