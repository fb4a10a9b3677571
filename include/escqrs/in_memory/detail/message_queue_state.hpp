// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/config.hpp>
#include <escqrs/messaging/message_queue.hpp>
#include <escqrs/messaging/message_queue_rules.hpp>
#include <escqrs/messaging/message_queue_time.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

namespace escqrs::inline v0::detail {

/// The messages of a queue in memory and the rules for them: no clock, no lock, no waiting. The caller passes the time.
///
/// Sessions with messages to hand out stand in line; one that has been served goes to the end. Messages without a
/// session are handed out in the order they came; they and the sessions take turns at being served first.
/// @par Complexity  logarithmic in what the queue holds, times the messages moved
class MessageQueueState {
public:
    explicit MessageQueueState(const MessageQueueOptions& options) : options_{options} {}

    /// Does what has become due by `now`: enqueues scheduled messages, takes back locks that ran out, forgets old ids.
    /// Call it before anything else at that time.
    void pass_time(const QueueTime& now);
    /// Time until something becomes available by time alone.
    Duration next_change(const QueueTime& now) const;
    bool can_take() const noexcept { return !line_.empty() || !single_.empty(); }

    void send(const Message& message, const QueueTime& now);
    std::vector<ReceivedMessage> take(std::size_t at_most, const std::string& token, const QueueTime& now);
    /// @return false if the lock is lost; nothing has changed
    bool settle(const ReceivedMessage& message, const Disposition& disposition, const QueueTime& now);
    /// @return false if the lock is lost; nothing has changed
    bool renew_lock(ReceivedMessage& message, const QueueTime& now);
    std::vector<DeadLetteredMessage> dead_letters(std::uint64_t after, std::size_t at_most) const;
    bool resubmit(const std::string& message_id, const QueueTime& now);
    MessageQueueCounts counts() const;

private:
    struct Entry {
        Message message;
        std::uint64_t sequence_number = 0;
        std::uint32_t failed_deliveries = 0;
        Timestamp enqueued_at{};
        std::string lock_token; ///< of a message without session
        SteadyTime locked_until{};
    };
    using Entries = std::map<std::uint64_t, Entry>;

    /// The waiting messages of a session. Those up to `held_up_to` are held by the owner of `lock_token`.
    struct Session {
        Entries entries;
        std::uint64_t turn = 0; ///< place in line; 0 while locked
        std::uint64_t held_up_to = 0;
        std::string lock_token;
        SteadyTime locked_until{};
    };
    using Sessions = std::unordered_map<std::string, Session>;
    using SessionEntry = Sessions::value_type;

    void enqueue(Entry entry);
    void take_sessions(std::size_t at_most, const QueueTime& now, const std::string& token,
                       std::vector<ReceivedMessage>& taken);
    void take_single(std::size_t at_most, const QueueTime& now, const std::string& token,
                     std::vector<ReceivedMessage>& taken);
    bool is_held(const ReceivedMessage& message) const;
    void settle_in_session(const ReceivedMessage& message, const Disposition& disposition, const QueueTime& now);
    bool fail_delivery(Entry& entry, const QueueTime& now);
    void release_if_settled(SessionEntry& session);
    void lock_session(SessionEntry& session, SteadyTime until);
    void dead_letter(Entry entry, std::string_view reason, std::string_view description, const QueueTime& now);
    ReceivedMessage hand_out(const Entry& entry, const std::string& token, const QueueTime& now) const;

    const MessageQueueOptions options_;
    std::uint64_t last_number_ = 0; ///< of sequence numbers and of turns
    bool sessions_first_ = false;
    Sessions sessions_;
    std::map<std::uint64_t, SessionEntry*> line_;
    std::set<std::pair<SteadyTime, SessionEntry*>> session_locks_;
    Entries single_;
    Entries locked_single_;
    std::set<std::pair<SteadyTime, std::uint64_t>> single_locks_;
    std::multimap<Timestamp, Entry> scheduled_;
    std::map<std::uint64_t, DeadLetteredMessage> dead_;
    std::unordered_map<std::string, SteadyTime> seen_;
    std::deque<std::pair<SteadyTime, std::string>> seen_order_;
};

#if ESCQRS_HAS_BODIES

ESCQRS_INLINE void MessageQueueState::send(const Message& message, const QueueTime& now)
{
    if (options_.duplicate_detection_window > Duration::zero()) {
        if (!seen_.try_emplace(message.message_id, now.steady).second) return;
        seen_order_.emplace_back(now.steady, message.message_id);
    }
    Entry entry{.message = message, .sequence_number = 0, .enqueued_at = now.now, .lock_token = {}};
    if (message.scheduled_enqueue_time.value_or(now.now) > now.now) {
        scheduled_.emplace(*message.scheduled_enqueue_time, std::move(entry));
    } else {
        enqueue(std::move(entry));
    }
}

ESCQRS_INLINE void MessageQueueState::pass_time(const QueueTime& now)
{
    while (!scheduled_.empty() && scheduled_.begin()->first <= now.now) {
        auto node = scheduled_.extract(scheduled_.begin());
        node.mapped().enqueued_at = now.now;
        enqueue(std::move(node.mapped()));
    }
    while (!session_locks_.empty() && session_locks_.begin()->first <= now.steady) {
        SessionEntry& session = *session_locks_.begin()->second;
        Entries& entries = session.second.entries;
        for (auto entry = entries.begin(); entry != entries.end() && entry->first <= session.second.held_up_to;) {
            entry = fail_delivery(entry->second, now) ? std::next(entry) : entries.erase(entry);
        }
        session.second.held_up_to = 0;
        release_if_settled(session);
    }
    while (!single_locks_.empty() && single_locks_.begin()->first <= now.steady) {
        auto node = locked_single_.extract(single_locks_.begin()->second);
        single_locks_.erase(single_locks_.begin());
        if (fail_delivery(node.mapped(), now)) single_.insert(std::move(node));
    }
    while (!seen_order_.empty() &&
           seen_order_.front().first <= later_by(now.steady, -options_.duplicate_detection_window)) {
        seen_.erase(seen_order_.front().second);
        seen_order_.pop_front();
    }
}

ESCQRS_INLINE void MessageQueueState::enqueue(Entry entry)
{
    const std::uint64_t number = ++last_number_;
    entry.sequence_number = number;
    if (entry.message.session_id.empty()) {
        single_.emplace(number, std::move(entry));
        return;
    }
    const auto [session, is_new] = sessions_.try_emplace(entry.message.session_id);
    session->second.entries.emplace(number, std::move(entry));
    if (is_new) {
        session->second.turn = number;
        line_.emplace(number, &*session);
    }
}

ESCQRS_INLINE std::vector<ReceivedMessage> MessageQueueState::take(std::size_t at_most, const std::string& token,
                                                                   const QueueTime& now)
{
    std::vector<ReceivedMessage> taken;
    sessions_first_ = !sessions_first_;
    if (sessions_first_) {
        take_sessions(at_most, now, token, taken);
        take_single(at_most, now, token, taken);
    } else {
        take_single(at_most, now, token, taken);
        take_sessions(at_most, now, token, taken);
    }
    return taken;
}

ESCQRS_INLINE void MessageQueueState::take_sessions(std::size_t at_most, const QueueTime& now, const std::string& token,
                                                    std::vector<ReceivedMessage>& taken)
{
    const SteadyTime until = later_by(now.steady, options_.lock_duration);
    while (!line_.empty() && taken.size() < at_most) {
        SessionEntry& session = *line_.begin()->second;
        line_.erase(line_.begin());
        session.second.turn = 0;
        session.second.lock_token = token;
        lock_session(session, until);
        for (const auto& [number, entry] : session.second.entries) {
            if (taken.size() == at_most) break;
            session.second.held_up_to = number;
            taken.push_back(hand_out(entry, token, now));
        }
    }
}

ESCQRS_INLINE void MessageQueueState::take_single(std::size_t at_most, const QueueTime& now, const std::string& token,
                                                  std::vector<ReceivedMessage>& taken)
{
    const SteadyTime until = later_by(now.steady, options_.lock_duration);
    while (!single_.empty() && taken.size() < at_most) {
        auto node = single_.extract(single_.begin());
        Entry& entry = node.mapped();
        entry.lock_token = token;
        entry.locked_until = until;
        taken.push_back(hand_out(entry, token, now));
        single_locks_.emplace(until, entry.sequence_number);
        locked_single_.insert(std::move(node));
    }
}

ESCQRS_INLINE ReceivedMessage MessageQueueState::hand_out(const Entry& entry, const std::string& token,
                                                          const QueueTime& now) const
{
    return {.message = entry.message,
            .sequence_number = entry.sequence_number,
            .delivery_count = entry.failed_deliveries + 1,
            .enqueued_at = entry.enqueued_at,
            .locked_until = later_by(now.now, options_.lock_duration),
            .lock_token = token};
}

ESCQRS_INLINE bool MessageQueueState::is_held(const ReceivedMessage& message) const
{
    if (message.message.session_id.empty()) {
        const auto entry = locked_single_.find(message.sequence_number);
        return entry != locked_single_.end() && entry->second.lock_token == message.lock_token;
    }
    const auto session = sessions_.find(message.message.session_id);
    return session != sessions_.end() && session->second.turn == 0 &&
           session->second.lock_token == message.lock_token && message.sequence_number <= session->second.held_up_to &&
           session->second.entries.contains(message.sequence_number);
}

ESCQRS_INLINE bool MessageQueueState::settle(const ReceivedMessage& message, const Disposition& disposition,
                                             const QueueTime& now)
{
    if (!is_held(message)) return false;
    if (!message.message.session_id.empty()) {
        settle_in_session(message, disposition, now);
        return true;
    }
    auto node = locked_single_.extract(message.sequence_number);
    Entry& entry = node.mapped();
    single_locks_.erase({entry.locked_until, entry.sequence_number});
    if (const auto* abandon = std::get_if<Abandon>(&disposition)) {
        message_queue_rules::merge_properties(entry.message.properties, abandon->properties);
        if (fail_delivery(entry, now)) single_.insert(std::move(node));
    } else if (const auto* dead = std::get_if<DeadLetter>(&disposition)) {
        ++entry.failed_deliveries;
        dead_letter(std::move(entry), dead->reason, dead->description, now);
    }
    return true;
}

/// Settles a held message. Abandoning it also takes the later ones of its session from the holder.
ESCQRS_INLINE void MessageQueueState::settle_in_session(const ReceivedMessage& message, const Disposition& disposition,
                                                        const QueueTime& now)
{
    SessionEntry& session = *sessions_.find(message.message.session_id);
    Entries& entries = session.second.entries;
    const auto entry = entries.find(message.sequence_number);
    if (const auto* abandon = std::get_if<Abandon>(&disposition)) {
        message_queue_rules::merge_properties(entry->second.message.properties, abandon->properties);
        if (!fail_delivery(entry->second, now)) entries.erase(entry);
        session.second.held_up_to = message.sequence_number - 1;
    } else {
        if (const auto* dead = std::get_if<DeadLetter>(&disposition)) {
            ++entry->second.failed_deliveries;
            dead_letter(std::move(entry->second), dead->reason, dead->description, now);
        }
        entries.erase(entry);
    }
    release_if_settled(session);
}

/// Counts a delivery without a result.
/// @return false if it was one too many: then the message has been dead-lettered, and the caller must erase `entry`
ESCQRS_INLINE bool MessageQueueState::fail_delivery(Entry& entry, const QueueTime& now)
{
    if (++entry.failed_deliveries < options_.max_delivery_count) return true;
    const std::string description = message_queue_rules::max_delivery_count_description(entry.failed_deliveries);
    dead_letter(std::move(entry), message_queue_rules::max_delivery_count_exceeded, description, now);
    return false;
}

/// Ends a session's lock once nothing is held under it, and forgets a session without messages.
ESCQRS_INLINE void MessageQueueState::release_if_settled(SessionEntry& session)
{
    Entries& entries = session.second.entries;
    if (!entries.empty() && entries.begin()->first <= session.second.held_up_to) return;
    session_locks_.erase({session.second.locked_until, &session});
    if (entries.empty()) {
        sessions_.erase(sessions_.find(session.first));
        return;
    }
    session.second.held_up_to = 0;
    session.second.lock_token.clear();
    session.second.turn = ++last_number_;
    line_.emplace(session.second.turn, &session);
}

ESCQRS_INLINE void MessageQueueState::lock_session(SessionEntry& session, SteadyTime until)
{
    session_locks_.erase({session.second.locked_until, &session});
    session.second.locked_until = until;
    session_locks_.emplace(until, &session);
}

ESCQRS_INLINE void MessageQueueState::dead_letter(Entry entry, std::string_view reason, std::string_view description,
                                                  const QueueTime& now)
{
    const std::uint64_t number = entry.sequence_number;
    dead_.emplace(number,
                  DeadLetteredMessage{.message = std::move(entry.message),
                                      .sequence_number = number,
                                      .delivery_count = entry.failed_deliveries,
                                      .enqueued_at = entry.enqueued_at,
                                      .dead_lettered_at = now.now,
                                      .reason = std::string{message_queue_rules::dead_letter_text(reason)},
                                      .description = std::string{message_queue_rules::dead_letter_text(description)}});
}

ESCQRS_INLINE Duration MessageQueueState::next_change(const QueueTime& now) const
{
    Duration next = Duration::max();
    if (!scheduled_.empty()) next = std::min(next, time_until(scheduled_.begin()->first, now.now));
    if (!session_locks_.empty()) next = std::min(next, time_until(session_locks_.begin()->first, now.steady));
    if (!single_locks_.empty()) next = std::min(next, time_until(single_locks_.begin()->first, now.steady));
    return next;
}

ESCQRS_INLINE bool MessageQueueState::renew_lock(ReceivedMessage& message, const QueueTime& now)
{
    if (!is_held(message)) return false;
    const SteadyTime until = later_by(now.steady, options_.lock_duration);
    if (message.message.session_id.empty()) {
        Entry& entry = locked_single_.at(message.sequence_number);
        single_locks_.erase({entry.locked_until, entry.sequence_number});
        entry.locked_until = until;
        single_locks_.emplace(until, entry.sequence_number);
    } else {
        lock_session(*sessions_.find(message.message.session_id), until);
    }
    message.locked_until = later_by(now.now, options_.lock_duration);
    return true;
}

ESCQRS_INLINE std::vector<DeadLetteredMessage> MessageQueueState::dead_letters(std::uint64_t after,
                                                                               std::size_t at_most) const
{
    std::vector<DeadLetteredMessage> found;
    for (auto entry = dead_.upper_bound(after); entry != dead_.end() && found.size() < at_most; ++entry) {
        found.push_back(entry->second);
    }
    return found;
}

ESCQRS_INLINE bool MessageQueueState::resubmit(const std::string& message_id, const QueueTime& now)
{
    const auto found = std::find_if(dead_.begin(), dead_.end(),
                                    [&](const auto& dead) { return dead.second.message.message_id == message_id; });
    if (found == dead_.end()) return false;
    Entry entry{
        .message = std::move(found->second.message), .sequence_number = 0, .enqueued_at = now.now, .lock_token = {}};
    dead_.erase(found);
    enqueue(std::move(entry));
    return true;
}

ESCQRS_INLINE MessageQueueCounts MessageQueueState::counts() const
{
    MessageQueueCounts counts{.active = single_.size(),
                              .locked = locked_single_.size(),
                              .scheduled = scheduled_.size(),
                              .dead_lettered = dead_.size()};
    for (const auto& [id, session] : sessions_) {
        const auto held_end = session.entries.upper_bound(session.held_up_to);
        const auto held = static_cast<std::uint64_t>(std::distance(session.entries.begin(), held_end));
        counts.locked += held;
        counts.active += session.entries.size() - held;
    }
    return counts;
}

#endif // ESCQRS_HAS_BODIES

} // namespace escqrs::inline v0::detail
