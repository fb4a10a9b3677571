// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "link_id.hpp"
#include "message.hpp"

#include <escqrs/messaging/message_queue.hpp>

#include <algorithm>
#include <cstddef>
#include <deque>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace service_bus {

/// A message, the link over which it came, and when.
struct ArrivedMessage {
    ReceivedMessage received;
    LinkId link;
    escqrs::SteadyTime at;
};

/// Messages that were received and not handed out: they came before any call, or after the call that had asked for
/// them. They keep the order in which they came.
/// @par Thread safety  none
class UnclaimedMessages {
public:
    void add(ArrivedMessage message) { messages_.push_back(std::move(message)); }

    /// Takes up to `at_most` messages that came over these links.
    std::vector<ArrivedMessage> take(std::size_t at_most, std::span<const LinkId> links)
    {
        std::vector<ArrivedMessage> taken;
        for (auto at = messages_.begin(); at != messages_.end() && taken.size() < at_most;) {
            if (std::ranges::find(links, at->link) == links.end()) {
                ++at;
            } else {
                taken.push_back(std::move(*at));
                at = messages_.erase(at);
            }
        }
        return taken;
    }

    /// Takes those of a link that have been here since `moment` or longer. @return their lock tokens
    std::vector<std::string> take_older_than(escqrs::SteadyTime moment, LinkId link)
    {
        std::vector<std::string> tokens;
        std::erase_if(messages_, [&](const ArrivedMessage& each) {
            const bool is_older = each.link == link && each.at <= moment;
            if (is_older) tokens.push_back(each.received.lock_token);
            return is_older;
        });
        return tokens;
    }

    void erase(const std::string& lock_token)
    {
        std::erase_if(messages_, [&](const ArrivedMessage& each) { return each.received.lock_token == lock_token; });
    }
    void erase_all_of(LinkId link)
    {
        std::erase_if(messages_, [&](const ArrivedMessage& each) { return each.link == link; });
    }

    std::size_t count_of(LinkId link) const
    {
        return static_cast<std::size_t>(std::ranges::count(messages_, link, &ArrivedMessage::link));
    }
    std::size_t size() const noexcept { return messages_.size(); }
    bool empty() const noexcept { return messages_.empty(); }

private:
    std::deque<ArrivedMessage> messages_;
};

} // namespace service_bus
