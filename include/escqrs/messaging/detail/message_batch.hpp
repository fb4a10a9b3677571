// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/stop_token.hpp>
#include <escqrs/messaging/detail/lock_keeper.hpp>
#include <escqrs/messaging/detail/message_side.hpp>
#include <escqrs/messaging/detail/message_verdict.hpp>
#include <escqrs/messaging/detail/work_status.hpp>
#include <escqrs/messaging/message_processor_options.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

namespace escqrs::inline v0::detail {

/// Handles the messages of a batch, and holds a verdict for each.
class MessageBatch {
public:
    /// @param messages  just received, and not empty
    /// @param status    records progress; must outlive this, as `options` must
    MessageBatch(AnyMessageReceiver receiver, std::vector<ReceivedMessage> messages,
                 const MessageProcessorOptions& options, WorkStatus& status)
        : messages_{std::move(messages)}, options_{&options}, status_{&status},
          locks_{std::move(receiver), messages_, *options.clock}, verdicts_(messages_.size(), MessageVerdict{})
    {
    }

    const std::vector<ReceivedMessage>& messages() const noexcept { return messages_; }
    MessageVerdicts take_verdicts() noexcept { return std::move(verdicts_); }

    /// Handles all of them in one transaction, or in several if locks must be renewed in between.
    /// @throws StoreError if the read model cannot be written
    void handle(MessageSide& side, const stop_token& stop)
    {
        Undo undo = side.is_transactional() ? Undo::all : Undo::each;
        for (std::size_t first = 0; first < messages_.size() && !stop.stop_requested();) {
            locks_.renew_if_due(); // no transaction is open here that would wait for the broker
            auto failed_before = failed_sessions_;
            const auto end = handle_from(first, side, stop, undo);
            if (end) {
                first = *end;
                continue;
            }
            undo = undo == Undo::all ? Undo::each : Undo::alone;
            // Their effects were undone, and a stop may keep it from being handled again.
            std::fill(verdicts_.begin() + static_cast<std::ptrdiff_t>(first), verdicts_.end(), MessageVerdict{});
            failed_sessions_ = std::move(failed_before);
        }
    }

    /// Lets `judge_overdue` look at the messages that would be dead-lettered because an earlier one is missing.
    /// @return whether any is given back
    /// @throws what `judge_overdue` throws; those messages then go back
    bool judge_overdue(const stop_token& stop)
    {
        if (!options_->judge_overdue) return false;
        std::vector<OverdueMessage> overdue;
        std::vector<std::size_t> indexes;
        for (std::size_t index = 0; index < messages_.size(); ++index) {
            const auto& verdict = verdicts_[index];
            if (!verdict || !verdict->missing || messages_[index].delivery_count < options_->max_attempts) continue;
            overdue.push_back({messages_[index], verdict->missing->stream, verdict->missing->version});
            indexes.push_back(index);
        }
        if (overdue.empty()) return false;
        try {
            options_->judge_overdue(
                overdue,
                [this] {
                    status_->progress(options_->clock->steady());
                    locks_.renew_if_due();
                },
                stop);
        } catch (...) {
            for (const std::size_t index : indexes) verdicts_[index] = MessageVerdict{};
            throw;
        }
        bool some_go_back = false;
        for (std::size_t at = 0; at < overdue.size(); ++at) {
            auto& verdict = verdicts_[indexes[at]];
            if (locks_.is_lost(indexes[at])) verdict.reset();
            else if (overdue[at].give_back || stop.stop_requested()) verdict = MessageVerdict{};
            some_go_back = some_go_back || overdue[at].give_back;
        }
        return some_go_back;
    }

private:
    using Outcome = MessageVerdict::Outcome;

    /// What can be undone when a message fails: the whole transaction, or the message's own part. A savepoint for each
    /// message takes an eighth of the work, and only a batch in which something must be undone needs them. What a
    /// database refuses at the commit, such as a deferred constraint, does not say which message is at fault: then each has
    /// a transaction of its own.
    enum class Undo : std::uint8_t { all, each, alone };

    /// Handles messages from `first` on, in one transaction, until a lock must be renewed.
    /// @return where to continue; nothing if something had to be undone, which undid all of it
    std::optional<std::size_t> handle_from(std::size_t first, MessageSide& side, const stop_token& stop, Undo undo)
    {
        std::optional<std::size_t> end;
        try {
            side.transact([&] {
                std::uint64_t new_events = 0;
                std::size_t index = first;
                for (; index < messages_.size() && (index == first || (undo != Undo::alone && !locks_.is_due()));
                     ++index) {
                    status_->progress(options_->clock->steady());
                    auto& verdict = verdicts_[index];
                    verdict = verdict_of(index, side, stop, undo);
                    const bool failed =
                        !verdict || verdict->outcome == Outcome::failed || verdict->outcome == Outcome::poison;
                    if (failed && verdict && undo == Undo::all) return false;
                    if (failed) failed_sessions_.insert(messages_[index].message.session_id);
                    if (verdict && verdict->is_new) ++new_events;
                }
                if (new_events != 0) options_->before_commit(new_events);
                end = index;
                return true;
            });
        } catch (const StoreError& error) {
            // A handler may have swallowed the error after which PostgreSQL refuses everything.
            if (error.failure_kind() != FailureKind::refused) throw;
            if (undo != Undo::alone) return std::nullopt;
            if (!end) throw; // before the commit
            verdicts_[first] = verdict_of_failure();
            failed_sessions_.insert(messages_[first].message.session_id);
            return first + 1;
        }
        return end;
    }

    std::optional<MessageVerdict> verdict_of(std::size_t index, MessageSide& side, const stop_token& stop, Undo undo)
    {
        const std::string& session = messages_[index].message.session_id;
        if (locks_.is_lost(index)) return std::nullopt;
        if (stop.stop_requested() || (!session.empty() && failed_sessions_.contains(session))) return MessageVerdict{};
        try {
            bool is_new = false;
            const auto apply = [&] {
                is_new = side.apply(messages_[index].message);
                // A handler may have swallowed the error after which SQLite rolled back everything.
                if (!side.in_transaction()) throw StoreError{"the transaction was undone"};
            };
            if (undo == Undo::all) apply();
            else side.attempt(apply);
            return MessageVerdict{.outcome = Outcome::handled, .is_new = is_new};
        } catch (...) {
            MessageVerdict verdict = verdict_of_failure();
            // After some errors SQLite has rolled back everything, not only the part.
            if (verdict.outcome == Outcome::failed && !side.in_transaction()) throw StoreError{verdict.description};
            return verdict;
        }
    }

    std::vector<ReceivedMessage> messages_;
    const MessageProcessorOptions* options_;
    WorkStatus* status_;
    LockKeeper locks_;
    MessageVerdicts verdicts_;
    std::unordered_set<std::string> failed_sessions_;
};

} // namespace escqrs::inline v0::detail
