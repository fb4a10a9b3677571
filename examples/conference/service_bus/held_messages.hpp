// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include "settlement.hpp"

#include <escqrs/messaging.hpp>

#include <proton/types.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace service_bus {

class ReceiveLink;

/// One call of `settle` that is under way. Of the connection's thread, but for `pending`.
struct SettleCall {
    std::vector<escqrs::SettlementResult> results;
    std::string error;       ///< of what the broker left unanswered
    std::size_t pending = 0; ///< guarded by the receiver's mutex
};

/// A message that was handed out and is not settled yet.
struct HeldMessage {
    std::string token;
    std::string message_id;
    std::string session_id;
    std::uint64_t sequence_number = 0;
    escqrs::Timestamp locked_until{}; ///< by this machine's time of day
    escqrs::SteadyTime lock_end{};
    escqrs::SteadyTime renew_by{};    ///< until when the lock surely lasts
    escqrs::SteadyTime locked_at{};   ///< when it was got, or renewed last
    escqrs::SteadyTime renew_until{}; ///< after which the lock is not renewed by itself
    ReceiveLink* link = nullptr;
    pn_delivery_t* delivery = nullptr;
    std::stop_source lock_lost;
    bool is_renewing = false;
    SettleCall* settle_call = nullptr; ///< null: nobody has decided yet
    Outcome asked = Outcome::complete;
    escqrs::SteadyTime asked_at{};
    std::size_t settle_index = 0;
};

/// The messages that were handed out, by lock token. What a caller says of a message must agree with what it was given.
/// @par Thread safety  on the connection's thread only
class HeldMessages {
public:
    HeldMessage& add(HeldMessage message)
    {
        auto held = std::make_unique<HeldMessage>(std::move(message));
        HeldMessage& added = *held;
        by_token_[added.token] = std::move(held);
        return added;
    }

    /// The message that `said` is about; null if it is not held, or not as it says.
    HeldMessage* find(const escqrs::ReceivedMessage& said) const
    {
        const auto found = by_token_.find(said.lock_token);
        if (found == by_token_.end()) return nullptr;
        HeldMessage& held = *found->second;
        const bool agrees = held.settle_call == nullptr && held.sequence_number == said.sequence_number &&
                            held.session_id == said.message.session_id;
        return agrees ? &held : nullptr;
    }

    HeldMessage* find(const std::string& token) const
    {
        const auto found = by_token_.find(token);
        return found == by_token_.end() ? nullptr : found->second.get();
    }

    bool contains(const std::string& token) const { return by_token_.contains(token); }

    void erase(const HeldMessage& held) { by_token_.erase(std::string{held.token}); }

    /// Those of a link, in the order of the queue.
    std::vector<HeldMessage*> of(const ReceiveLink& link) const
    {
        std::vector<HeldMessage*> found;
        for (const auto& [token, held] : by_token_) {
            if (held->link == &link) found.push_back(held.get());
        }
        std::ranges::sort(found, {}, &HeldMessage::sequence_number);
        return found;
    }

    std::vector<HeldMessage*> all() const
    {
        std::vector<HeldMessage*> found;
        found.reserve(by_token_.size());
        for (const auto& [token, held] : by_token_) found.push_back(held.get());
        return found;
    }

    std::size_t size() const noexcept { return by_token_.size(); }

private:
    std::unordered_map<std::string, std::unique_ptr<HeldMessage>> by_token_;
};

} // namespace service_bus
