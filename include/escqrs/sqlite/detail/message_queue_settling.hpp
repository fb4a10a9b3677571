// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/config.hpp>
#include <escqrs/sqlite/detail/message_queue_tables.hpp>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

// How `MessageQueueTables` settles messages, renews their locks and resubmits dead letters.
namespace escqrs::inline v0::sqlite::detail {

#if ESCQRS_HAS_BODIES

ESCQRS_INLINE std::vector<SettlementResult> MessageQueueTables::settle(std::span<const Settlement> settlements,
                                                                       const QueueTime& now)
{
    pass_time(now);
    std::vector<SettlementResult> results;
    results.reserve(settlements.size());
    std::vector<HeldSession> sessions;
    for (const auto& [received, disposition] : settlements) {
        const ReceivedMessage& message = received;
        const std::string& name = message.message.session_id;
        bool is_held = false;
        if (name.empty()) {
            is_held = settle_single(message, disposition, now);
        } else {
            // The messages of a session are mostly next to each other.
            if (sessions.empty() || sessions.back().name != name || sessions.back().token != message.lock_token) {
                sessions.push_back(find_held(name, message.lock_token, now));
            }
            is_held = settle_in_session(sessions.back(), message, disposition, now);
        }
        results.push_back(is_held ? SettlementResult::settled : SettlementResult::lock_lost);
    }
    for (const HeldSession& session : sessions) {
        if (session.id != 0) release(session.id, session.held_up_to, session.token);
    }
    return results;
}

ESCQRS_INLINE MessageQueueTables::HeldSession
MessageQueueTables::find_held(std::string_view name, std::string_view token, const QueueTime& now)
{
    HeldSession session{.name = name, .token = token};
    if (auto rows = held_session_.query(name, token, as_number(now.steady)); rows.next()) {
        session.id = rows.integer(0);
        session.held_up_to = rows.integer(1);
    }
    return session;
}

ESCQRS_INLINE bool MessageQueueTables::settle_single(const ReceivedMessage& message, const Disposition& disposition,
                                                     const QueueTime& now)
{
    const std::int64_t number = as_number(message.sequence_number);
    if (std::holds_alternative<Complete>(disposition))
        return remove_held_.run(number, message.lock_token, as_number(now.steady)) > 0;
    HeldMessage held;
    {
        auto rows = held_message_.query(number, message.lock_token, as_number(now.steady));
        if (!rows.next()) return false;
        held = {static_cast<std::uint32_t>(rows.integer(0)), decode_properties(rows.blob(1))};
    }
    fail(number, std::move(held), disposition, now);
    return true;
}

/// Abandoning a message takes the later ones of its session from the holder as well.
ESCQRS_INLINE bool MessageQueueTables::settle_in_session(HeldSession& session, const ReceivedMessage& message,
                                                         const Disposition& disposition, const QueueTime& now)
{
    const std::int64_t number = as_number(message.sequence_number);
    if (session.id == 0 || number > session.held_up_to) return false;
    if (std::holds_alternative<Complete>(disposition)) return remove_of_session_.run(number, session.id) > 0;
    HeldMessage held;
    {
        auto rows = message_of_session_.query(number, session.id);
        if (!rows.next()) return false;
        held = {static_cast<std::uint32_t>(rows.integer(0)), decode_properties(rows.blob(1))};
    }
    fail(number, std::move(held), disposition, now);
    if (std::holds_alternative<Abandon>(disposition)) {
        session.held_up_to = number - 1;
        hold_up_to_.run(session.id, session.held_up_to);
    }
    return true;
}

/// Abandons or dead-letters a message that is held.
ESCQRS_INLINE void MessageQueueTables::fail(std::int64_t number, HeldMessage held, const Disposition& disposition,
                                            const QueueTime& now)
{
    if (const auto* dead = std::get_if<DeadLetter>(&disposition)) {
        fail_message_.run(number);
        dead_letter(number, rules::dead_letter_text(dead->reason), rules::dead_letter_text(dead->description), now);
        return;
    }
    const MessageProperties& added = std::get<Abandon>(disposition).properties;
    if (!added.empty()) {
        rules::merge_properties(held.properties, added);
        const std::string properties = encode_properties(held.properties);
        set_properties_.run(number, std::as_bytes(std::span{properties}));
    }
    fail_message_.run(number);
    dead_letter_if_exceeded(number, held.failed_deliveries + 1, now);
}

/// Puts a message aside that has been delivered too often.
ESCQRS_INLINE void MessageQueueTables::dead_letter_if_exceeded(std::int64_t number, std::uint32_t deliveries,
                                                               const QueueTime& now)
{
    if (deliveries < options_.max_delivery_count) return;
    dead_letter(number, rules::max_delivery_count_exceeded, rules::max_delivery_count_description(deliveries), now);
}

ESCQRS_INLINE void MessageQueueTables::dead_letter(std::int64_t number, std::string_view reason,
                                                   std::string_view description, const QueueTime& now)
{
    dead_letter_.run(number, now.now, reason, description);
    remove_message_.run(number);
}

/// Ends a session's lock once nothing is held under it, and forgets a session without messages.
ESCQRS_INLINE void MessageQueueTables::release(std::int64_t session, std::int64_t held_up_to, std::string_view token)
{
    std::int64_t first = 0;
    if (auto rows = first_of_session_.query(session); rows.next()) first = rows.integer(0);
    if (first == 0) {
        remove_session_.run(session, token);
    } else if (first > held_up_to) {
        release_session_.run(session, token, next_numbers(1));
    }
}

ESCQRS_INLINE bool MessageQueueTables::renew_lock(const ReceivedMessage& message, const QueueTime& now)
{
    pass_time(now);
    const std::int64_t until = as_number(lock_until(now));
    const std::int64_t number = as_number(message.sequence_number);
    if (message.message.session_id.empty()) {
        if (auto rows = held_message_.query(number, message.lock_token, as_number(now.steady)); !rows.next())
            return false;
        renew_message_.run(number, until);
        return true;
    }
    const HeldSession session = find_held(message.message.session_id, message.lock_token, now);
    if (session.id == 0 || number > session.held_up_to) return false;
    if (auto rows = message_of_session_.query(number, session.id); !rows.next()) return false;
    renew_session_.run(session.id, until);
    return true;
}

ESCQRS_INLINE bool MessageQueueTables::resubmit(const std::string& message_id, const QueueTime& now)
{
    pass_time(now);
    std::int64_t dead = 0;
    std::string session;
    if (auto rows = find_dead_letter_.query(message_id); rows.next()) {
        dead = rows.integer(0);
        session = rows.text(1);
    }
    if (dead == 0) return false;
    const std::int64_t number = next_numbers(1);
    resubmit_.run(dead, number, session_of(session, number), now.now);
    remove_dead_letter_.run(dead);
    return true;
}

#endif // ESCQRS_HAS_BODIES

} // namespace escqrs::inline v0::sqlite::detail
