// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/config.hpp>
#include <escqrs/messaging/message_queue_rules.hpp>
#include <escqrs/sqlite/database.hpp>
#include <escqrs/sqlite/detail/message_queue_codec.hpp>
#include <escqrs/sqlite/detail/message_queue_sql.hpp>
#include <escqrs/sqlite/detail/message_queue_time.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace escqrs::inline v0::sqlite::detail {

namespace rules = escqrs::message_queue_rules;

/// Changes the tables of a queue. Every function runs within a transaction and receives the time; what has become due
/// by then comes first.
/// @par Thread safety  as the database: one thread at a time
class MessageQueueTables {
public:
    MessageQueueTables(Database& database, const MessageQueueOptions& options) : database_{&database}, options_{options}
    {
    }

    void send(std::span<const Message> messages, const QueueTime& now);

    /// Does what has become due by `now`: enqueues scheduled messages, and takes back locks that ran out.
    void pass_time(const QueueTime& now);

    /// Hands out available messages under a lock, sessions in line first or messages without a session first.
    std::vector<ReceivedMessage> take(std::size_t at_most, const std::string& token, bool sessions_first,
                                      const QueueTime& now);

    std::vector<SettlementResult> settle(std::span<const Settlement> settlements, const QueueTime& now);
    bool renew_lock(const ReceivedMessage& message, const QueueTime& now);
    bool resubmit(const std::string& message_id, const QueueTime& now);

private:
    /// A session of which something is settled.
    struct HeldSession {
        std::string_view name;
        std::string_view token;
        std::int64_t id = 0; ///< 0: its lock is lost
        std::int64_t held_up_to = 0;
    };
    /// What is known of a held message before it is settled.
    struct HeldMessage {
        std::uint32_t failed_deliveries = 0;
        MessageProperties properties;
    };

    void pass_some_time(const QueueTime& now);
    SteadyTime lock_until(const QueueTime& now);
    std::int64_t next_numbers(std::size_t count);
    std::int64_t session_of(std::string_view name, std::int64_t number);
    using Messages = std::vector<ReceivedMessage>;

    void take_sessions(std::size_t at_most, const std::string& token, const QueueTime& now, Messages& taken);
    void take_single(std::size_t at_most, const std::string& token, const QueueTime& now, Messages& taken);
    bool take_ready(std::int64_t session, std::size_t at_most, const std::string& token, const QueueTime& now,
                    Messages& taken);
    HeldSession find_held(std::string_view name, std::string_view token, const QueueTime& now);
    bool settle_single(const ReceivedMessage& message, const Disposition& disposition, const QueueTime& now);
    bool settle_in_session(HeldSession& session, const ReceivedMessage& message, const Disposition& disposition,
                           const QueueTime& now);
    void fail(std::int64_t number, HeldMessage held, const Disposition& disposition, const QueueTime& now);
    void dead_letter_if_exceeded(std::int64_t number, std::uint32_t deliveries, const QueueTime& now);
    void dead_letter(std::int64_t number, std::string_view reason, std::string_view description, const QueueTime& now);
    void release(std::int64_t session, std::int64_t held_up_to, std::string_view token);

    [[noreturn]] void throw_damaged(const char* what) const
    {
        throw TransportError{"sqlite '" + database_->path() + "': the message queue is damaged: " + what};
    }

    Database* database_;
    MessageQueueOptions options_;

    // What is due next, as far as the transaction that was open then knew.
    NextChange next_change_;
    std::uint64_t seen_transactions_ = 0;
    std::uint64_t seen_rollbacks_ = 0;

    Statement select_next_change_{*database_, queue_sql::next_change};
    Statement count_on_{*database_, queue_sql::count_on};
    Statement last_number_{*database_, queue_sql::last_number};
    Statement remember_id_{*database_, queue_sql::remember_id};
    Statement forget_ids_{*database_, queue_sql::forget_ids};
    Statement add_session_{*database_, queue_sql::add_session};
    Statement find_session_{*database_, queue_sql::find_session};
    Statement add_message_{*database_, queue_sql::add_message};
    Statement due_messages_{*database_, queue_sql::due_messages};
    Statement enqueue_due_{*database_, queue_sql::enqueue_due};
    Statement expired_sessions_{*database_, queue_sql::expired_sessions};
    Statement fail_held_{*database_, queue_sql::fail_held};
    Statement failed_too_often_{*database_, queue_sql::failed_too_often};
    Statement expired_messages_{*database_, queue_sql::expired_messages};
    Statement fail_message_{*database_, queue_sql::fail_message};
    Statement line_{*database_, queue_sql::line};
    Statement ready_messages_{*database_, queue_sql::ready_messages};
    Statement lock_session_{*database_, queue_sql::lock_session};
    Statement lock_message_{*database_, queue_sql::lock_message};
    Statement held_session_{*database_, queue_sql::held_session};
    Statement held_message_{*database_, queue_sql::held_message};
    Statement message_of_session_{*database_, queue_sql::message_of_session};
    Statement remove_held_{*database_, queue_sql::remove_held};
    Statement remove_of_session_{*database_, queue_sql::remove_of_session};
    Statement remove_message_{*database_, queue_sql::remove_message};
    Statement set_properties_{*database_, queue_sql::set_properties};
    Statement hold_up_to_{*database_, queue_sql::hold_up_to};
    Statement first_of_session_{*database_, queue_sql::first_of_session};
    Statement release_session_{*database_, queue_sql::release_session};
    Statement remove_session_{*database_, queue_sql::remove_session};
    Statement renew_session_{*database_, queue_sql::renew_session};
    Statement renew_message_{*database_, queue_sql::renew_message};
    Statement dead_letter_{*database_, queue_sql::dead_letter};
    Statement find_dead_letter_{*database_, queue_sql::find_dead_letter};
    Statement resubmit_{*database_, queue_sql::resubmit};
    Statement remove_dead_letter_{*database_, queue_sql::remove_dead_letter};
};

#if ESCQRS_HAS_BODIES

/// The last of `count` new numbers.
ESCQRS_INLINE std::int64_t MessageQueueTables::next_numbers(std::size_t count)
{
    count_on_.run(count);
    auto rows = last_number_.query();
    if (!rows.next()) throw_damaged("the counter is missing");
    return rows.integer(0);
}

/// The id of the session `name`; if it is new, it is `number`, which is its place in line as well.
ESCQRS_INLINE std::int64_t MessageQueueTables::session_of(std::string_view name, std::int64_t number)
{
    if (name.empty()) return 0;
    if (add_session_.run(number, name) > 0) return number;
    auto rows = find_session_.query(name);
    if (!rows.next()) throw_damaged("a session is missing");
    return rows.integer(0);
}

ESCQRS_INLINE void MessageQueueTables::send(std::span<const Message> messages, const QueueTime& now)
{
    pass_time(now);
    const std::int64_t window_begin = as_number(later_by(now.steady, -options_.duplicate_detection_window));
    const bool detects_duplicates = options_.duplicate_detection_window > Duration::zero();
    std::int64_t number = next_numbers(messages.size()) - static_cast<std::int64_t>(messages.size());
    for (const Message& message : messages) {
        ++number;
        if (detects_duplicates &&
            remember_id_.run(number, message.message_id, as_number(now.steady), window_begin) == 0)
            continue;
        const bool is_scheduled = message.scheduled_enqueue_time.value_or(now.now) > now.now;
        if (is_scheduled) next_change_.due = std::min(next_change_.due, *message.scheduled_enqueue_time);
        const std::int64_t session = is_scheduled ? 0 : session_of(message.session_id, number);
        const std::int64_t scheduled_at = encode_time(message.scheduled_enqueue_time);
        const std::string properties = encode_properties(message.properties);
        add_message_.run(number, session, now.now, is_scheduled ? scheduled_at : no_time, message.message_id,
                         message.session_id, message.subject, message.correlation_id, message.content_type,
                         scheduled_at, std::as_bytes(std::span{properties}), std::as_bytes(std::span{message.body}));
    }
    // Each send forgets more than it remembers, so that old ids do not pile up.
    forget_ids_.run(2 * messages.size() + 4, window_begin);
}

ESCQRS_INLINE void MessageQueueTables::pass_time(const QueueTime& now)
{
    const bool is_known = seen_transactions_ == database_->transactions() && seen_rollbacks_ == database_->rollbacks();
    if (!is_known) next_change_ = read_next_change(select_next_change_);
    while (next_change_.is_due(now)) {
        pass_some_time(now);
        next_change_ = read_next_change(select_next_change_);
    }
    seen_transactions_ = database_->transactions();
    seen_rollbacks_ = database_->rollbacks();
}

ESCQRS_INLINE void MessageQueueTables::pass_some_time(const QueueTime& now)
{
    constexpr int at_once = 256;
    std::vector<std::pair<std::int64_t, std::string>> due;
    for (auto rows = due_messages_.query(now.now, at_once); rows.next();)
        due.emplace_back(rows.integer(0), rows.text(1));
    for (const auto& [number, session] : due) {
        const std::int64_t new_number = next_numbers(1);
        enqueue_due_.run(number, new_number, session_of(session, new_number), now.now);
    }

    struct Expired {
        std::int64_t id;
        std::int64_t held_up_to;
        std::string token;
    };
    std::vector<Expired> sessions;
    for (auto rows = expired_sessions_.query(as_number(now.steady), at_once); rows.next();) {
        sessions.push_back({rows.integer(0), rows.integer(1), std::string{rows.text(2)}});
    }
    for (const auto& [id, held_up_to, token] : sessions) {
        fail_held_.run(id, held_up_to);
        std::vector<std::pair<std::int64_t, std::uint32_t>> exceeded;
        for (auto rows = failed_too_often_.query(id, held_up_to, options_.max_delivery_count); rows.next();) {
            exceeded.emplace_back(rows.integer(0), static_cast<std::uint32_t>(rows.integer(1)));
        }
        for (const auto& [number, deliveries] : exceeded) dead_letter_if_exceeded(number, deliveries, now);
        release(id, 0, token);
    }

    std::vector<std::pair<std::int64_t, std::uint32_t>> single;
    for (auto rows = expired_messages_.query(as_number(now.steady), at_once); rows.next();) {
        single.emplace_back(rows.integer(0), static_cast<std::uint32_t>(rows.integer(1)));
    }
    for (const auto& [number, failed_deliveries] : single) {
        fail_message_.run(number);
        dead_letter_if_exceeded(number, failed_deliveries + 1, now);
    }
}

ESCQRS_INLINE std::vector<ReceivedMessage> MessageQueueTables::take(std::size_t at_most, const std::string& token,
                                                                    bool sessions_first, const QueueTime& now)
{
    pass_time(now);
    std::vector<ReceivedMessage> taken;
    if (sessions_first) take_sessions(at_most, token, now, taken);
    take_single(at_most, token, now, taken);
    if (!sessions_first) take_sessions(at_most, token, now, taken);
    return taken;
}

/// The end of a lock that begins now.
ESCQRS_INLINE SteadyTime MessageQueueTables::lock_until(const QueueTime& now)
{
    const SteadyTime end = later_by(now.steady, options_.lock_duration);
    next_change_.lock_end = std::min(next_change_.lock_end, end);
    return end;
}

/// Appends what is ready of a session to `taken`.
/// @return false if there was nothing
ESCQRS_INLINE bool MessageQueueTables::take_ready(std::int64_t session, std::size_t at_most, const std::string& token,
                                                  const QueueTime& now, Messages& taken)
{
    const std::size_t before = taken.size();
    const Timestamp until = later_by(now.now, options_.lock_duration);
    for (auto rows = ready_messages_.query(session, as_number(at_most - before)); rows.next();) {
        taken.push_back({.message = decode_message(rows, 3),
                         .sequence_number = static_cast<std::uint64_t>(rows.integer(0)),
                         .delivery_count = static_cast<std::uint32_t>(rows.integer(1)) + 1,
                         .enqueued_at = rows.time(2),
                         .locked_until = until,
                         .lock_token = token});
    }
    return taken.size() > before;
}

ESCQRS_INLINE void MessageQueueTables::take_sessions(std::size_t at_most, const std::string& token,
                                                     const QueueTime& now, Messages& taken)
{
    if (taken.size() >= at_most) return;
    const std::int64_t until = as_number(lock_until(now));
    std::vector<std::int64_t> sessions;
    for (auto rows = line_.query(as_number(at_most - taken.size())); rows.next();) sessions.push_back(rows.integer(0));
    for (const std::int64_t session : sessions) {
        if (taken.size() >= at_most) break;
        if (!take_ready(session, at_most, token, now, taken)) throw_damaged("a session in line has no messages");
        lock_session_.run(session, taken.back().sequence_number, until, token);
    }
}

ESCQRS_INLINE void MessageQueueTables::take_single(std::size_t at_most, const std::string& token, const QueueTime& now,
                                                   Messages& taken)
{
    if (taken.size() >= at_most) return;
    const std::int64_t until = as_number(lock_until(now));
    const std::size_t before = taken.size();
    take_ready(0, at_most, token, now, taken);
    for (const ReceivedMessage& message : std::span{taken}.subspan(before)) {
        lock_message_.run(message.sequence_number, until, token);
    }
}

#endif // ESCQRS_HAS_BODIES

} // namespace escqrs::inline v0::sqlite::detail

#include <escqrs/sqlite/detail/message_queue_settling.hpp>
