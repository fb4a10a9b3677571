// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/id_generator.hpp>
#include <escqrs/core/stop_token.hpp>
#include <escqrs/in_memory/detail/message_queue_state.hpp>
#include <escqrs/messaging/message_queue.hpp>
#include <escqrs/messaging/message_queue_rules.hpp>
#include <escqrs/messaging/message_queue_time.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace escqrs::inline v0::in_memory {

/// A queue that lives as long as the object: `MessageSender`, `MessageReceiver` and `DeadLetterQueue`.
///
/// Sessions with messages to hand out stand in line; one that has been served goes to the end. Messages without a
/// session are handed out in the order they came; they and the sessions take turns at being served first.
/// @par Thread safety  all members may be called from any thread
/// @par Complexity     logarithmic in what the queue holds, times the messages moved
class MessageQueue {
public:
    /// @param options      the clock must outlive the queue
    /// @param lock_tokens  draws tokens that cannot be guessed: who knows a lock's token holds the lock
    /// @throws TransportError if nothing can work with `options`
    explicit MessageQueue(const MessageQueueOptions& options = {}, IdGenerator lock_tokens = random_uuid)
        : options_{(message_queue_rules::check_options(options, lock_tokens), options)},
          lock_tokens_{std::move(lock_tokens)}, state_{options}
    {
    }

    /// As `MessageSender`, `MessageReceiver` and `DeadLetterQueue` describe it.
    /// @{
    void send(std::span<const Message> messages)
    {
        message_queue_rules::check_messages(messages, options_);
        at_present([&](const detail::QueueTime& now) {
            for (const Message& message : messages) state_.send(message, now);
            ++changes_;
        });
        wake_.notify_all();
    }

    std::vector<ReceivedMessage> receive(std::size_t at_most, Duration wait, stop_token stop = {})
    {
        std::unique_lock lock{mutex_};
        const SteadyTime end = later_by(options_.clock->steady(), wait);
        while (at_most > 0 && !stop.stop_requested()) {
            const detail::QueueTime now{*options_.clock};
            state_.pass_time(now);
            if (state_.can_take()) return state_.take(at_most, escqrs::to_string(lock_tokens_()), now);
            const Duration left = time_until(end, now.steady);
            if (left == Duration::zero()) break;
            const Duration next = detail::next_wait(std::min(left, state_.next_change(now)));
            options_.clock->wait_for(lock, wake_, next, stop, [&, seen = changes_] { return changes_ != seen; });
        }
        return {};
    }

    void settle(const ReceivedMessage& message, const Disposition& disposition)
    {
        const Settlement settlement{message, disposition};
        if (settle(std::span{&settlement, 1}).front() == SettlementResult::lock_lost)
            message_queue_rules::throw_lock_lost(message);
    }

    std::vector<SettlementResult> settle(std::span<const Settlement> settlements)
    {
        for (const auto& [message, disposition] : settlements) {
            message_queue_rules::check_disposition(message, disposition, options_);
        }
        std::vector<SettlementResult> results;
        results.reserve(settlements.size());
        at_present([&](const detail::QueueTime& now) {
            for (const auto& [message, disposition] : settlements) {
                const bool held = state_.settle(message, disposition, now);
                results.push_back(held ? SettlementResult::settled : SettlementResult::lock_lost);
            }
            ++changes_;
        });
        wake_.notify_all();
        return results;
    }

    void renew_lock(ReceivedMessage& message)
    {
        if (!at_present([&](const detail::QueueTime& now) { return state_.renew_lock(message, now); })) {
            message_queue_rules::throw_lock_lost(message);
        }
    }

    std::vector<DeadLetteredMessage> dead_letters(std::uint64_t after, std::size_t at_most)
    {
        return at_present([&](const detail::QueueTime&) { return state_.dead_letters(after, at_most); });
    }

    bool resubmit(const std::string& message_id)
    {
        const bool found = at_present([&](const detail::QueueTime& now) {
            ++changes_;
            return state_.resubmit(message_id, now);
        });
        wake_.notify_all();
        return found;
    }
    /// @}

    /// Counts what the queue holds now.
    MessageQueueCounts counts()
    {
        return at_present([&](const detail::QueueTime&) { return state_.counts(); });
    }

private:
    template <class Action>
    std::invoke_result_t<Action&, const detail::QueueTime&> at_present(Action action)
    {
        const std::scoped_lock lock{mutex_};
        const detail::QueueTime now{*options_.clock};
        state_.pass_time(now);
        return action(now);
    }

    const MessageQueueOptions options_;
    const IdGenerator lock_tokens_;
    std::mutex mutex_;
    condition_variable_any wake_;
    std::uint64_t changes_ = 0; ///< counts what may end a receiver's wait
    detail::MessageQueueState state_;
};

static_assert(MessageSender<MessageQueue> && MessageReceiver<MessageQueue> && DeadLetterQueue<MessageQueue>);

} // namespace escqrs::inline v0::in_memory
