// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/error.hpp>
#include <escqrs/core/readable_text.hpp>
#include <escqrs/messaging/any_message_queue.hpp>
#include <escqrs/messaging/detail/message_verdict.hpp>
#include <escqrs/messaging/message_processor_options.hpp>
#include <escqrs/messaging/message_queue_rules.hpp>

#include <cstddef>
#include <exception>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

namespace escqrs::inline v0::detail {

template <class Work>
void ignoring_errors(Work&& work) noexcept
{
    try {
        work();
    } catch (...) { // NOLINT(bugprone-empty-catch): the caller's own work matters more
    }
}

/// Settles the messages of a batch by their verdicts.
class MessageSettling {
public:
    MessageSettling(AnyMessageReceiver& receiver, const MessageProcessorOptions& options)
        : receiver_{&receiver}, options_{&options}
    {
    }

    /// @param is_stopped  then what was not seen goes back without counting as a delivery, if the receiver can do that
    BatchResult settle(const std::vector<ReceivedMessage>& batch, MessageVerdicts verdicts, bool is_stopped)
    {
        BatchResult result;
        result.received = batch.size();
        // The receiver may still hold a message whose lock is lost by this machine's clock, and its session with it.
        std::vector<ReceivedMessage> lost;
        for (std::size_t index = 0; index < batch.size(); ++index) {
            if (!verdicts[index] && receiver_->can_release()) lost.push_back(batch[index]);
        }
        std::vector<ReceivedMessage> untouched;
        if (is_stopped && receiver_->can_release()) untouched = take_untouched(batch, verdicts);
        result.abandoned = untouched.size();
        std::vector<Settlement> settlements;
        settlements.reserve(batch.size());
        for (std::size_t index = 0; index < batch.size(); ++index) {
            if (!verdicts[index]) continue;
            settlements.push_back({batch[index], disposition_of(batch[index], *verdicts[index])});
        }
        result.lock_lost = batch.size() - settlements.size() - result.abandoned;
        std::vector<SettlementResult> results;
        try {
            results = settle(settlements);
        } catch (...) {
            ignoring_errors([&] { release(untouched, lost); });
            throw;
        }
        for (std::size_t index = 0; index < settlements.size(); ++index) {
            const auto& disposition = settlements[index].disposition;
            // With the first message of a session that is abandoned, the queue takes back those that follow it.
            if (std::holds_alternative<Abandon>(disposition)) ++result.abandoned;
            else if (results.at(index) == SettlementResult::lock_lost) ++result.lock_lost;
            else if (std::holds_alternative<Complete>(disposition)) ++result.completed;
            else ++result.dead_lettered;
        }
        release(untouched, lost); // the earlier messages of their sessions are settled by now
        return result;
    }

    /// Abandons all of them. If that fails, their locks run out by themselves.
    void give_back(const std::vector<ReceivedMessage>& batch)
    {
        try {
            std::vector<Settlement> settlements;
            settlements.reserve(batch.size());
            for (const ReceivedMessage& message : batch) settlements.push_back({message, Abandon{}});
            receiver_->settle(settlements);
        } catch (...) {
            options_->log("cannot give messages back: " +
                          readable(text_of(std::current_exception()), max_error_length));
        }
    }

private:
    using Outcome = MessageVerdict::Outcome;

    /// Of a message that was seen and not handled.
    bool is_dead_lettered(const ReceivedMessage& message, const MessageVerdict& verdict) const noexcept
    {
        return verdict.outcome == Outcome::poison || message.delivery_count >= options_->max_attempts;
    }

    Disposition disposition_of(const ReceivedMessage& message, const MessageVerdict& verdict)
    {
        if (verdict.outcome == Outcome::handled) return Complete{};
        if (verdict.outcome == Outcome::not_seen) return Abandon{};
        const std::string error = verdict.reason + ": " + readable(verdict.description, max_error_length);
        const auto log = [&](const char* what) {
            ignoring_errors([&] { // the rest of the batch must be settled
                options_->log("message '" +
                              readable(message.message.message_id, message_queue_rules::max_message_id_length) + "' " +
                              what + ": " + error);
            });
        };
        if (is_dead_lettered(message, verdict)) {
            log("dead-lettered");
            return DeadLetter{verdict.reason, verdict.description};
        }
        log("given back");
        return Abandon{{{"lastError", error}}};
    }

    /// What was not seen; its verdicts are removed. If an earlier message of the session goes back, the queue gives
    /// back the later ones with it.
    std::vector<ReceivedMessage> take_untouched(const std::vector<ReceivedMessage>& batch,
                                                MessageVerdicts& verdicts) const
    {
        std::vector<ReceivedMessage> untouched;
        std::unordered_set<std::string_view> failed_sessions;
        for (std::size_t index = 0; index < batch.size(); ++index) {
            const std::string& session = batch[index].message.session_id;
            if (!verdicts[index] || verdicts[index]->outcome == Outcome::handled) continue;
            if (verdicts[index]->outcome != Outcome::not_seen) {
                if (!is_dead_lettered(batch[index], *verdicts[index])) failed_sessions.insert(session);
            } else if (session.empty() || !failed_sessions.contains(session)) {
                untouched.push_back(batch[index]);
                verdicts[index].reset();
            }
        }
        return untouched;
    }

    void release(const std::vector<ReceivedMessage>& untouched, const std::vector<ReceivedMessage>& lost)
    {
        if (!untouched.empty()) receiver_->release(untouched);
        if (!lost.empty()) receiver_->release(lost);
    }

    std::vector<SettlementResult> settle(std::vector<Settlement>& settlements)
    {
        try {
            return receiver_->settle(settlements);
        } catch (const TransportError&) {
            // A message may be too large to take a property as well. That must not keep the others from being settled.
            bool changed = false;
            for (auto& settlement : settlements) {
                auto* const abandon = std::get_if<Abandon>(&settlement.disposition);
                if (abandon == nullptr || abandon->properties.empty()) continue;
                abandon->properties.clear();
                changed = true;
            }
            if (!changed) throw;
            return receiver_->settle(settlements);
        }
    }

    AnyMessageReceiver* receiver_;
    const MessageProcessorOptions* options_;
};

} // namespace escqrs::inline v0::detail
