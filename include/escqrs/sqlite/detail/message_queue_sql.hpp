// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/sqlite/database.hpp>

// The tables of a queue, and every statement that runs often. Each finds its rows by an index, however many messages
// and sessions there are; the only one that looks at all rows counts them.
namespace escqrs::inline v0::sqlite::detail::queue_sql {

// - counter: the last number given to a message, or to a session as its place in line.
// - session: those with messages. `turn` is the place in line, NULL while locked; messages up to `held_up_to` are held
//   under the lock. The id is the number of the session's first message.
// - message: what waits or is held. `session` is 0 without a session, and while scheduled, when `due` is not NULL. Only
//   a message without a session has its own lock.
// - seen: ids of messages sent within the duplicate detection window, by number of the message.
// - clock: what `locked_until` and `seen_at` count from, and by how many microseconds the time of day was ahead of it
//   then. The moments `due`, `scheduled_at`, `enqueued_at` and `dead_lettered_at` are of the time of day.
inline constexpr const char* add_clock = R"(
    CREATE TABLE clock (id INTEGER PRIMARY KEY CHECK (id = 1), origin TEXT NOT NULL, ahead INTEGER NOT NULL);
    INSERT INTO clock VALUES (1, '', 0);
)";
inline constexpr const char* upgrades[] = {add_clock}; // NOLINT(modernize-avoid-c-arrays)
inline constexpr Schema schema{.name = "message queue",
                               .application_id = 0x65736D71,
                               .version = 2,
                               .sql = R"(
    CREATE TABLE counter (id INTEGER PRIMARY KEY CHECK (id = 1), last INTEGER NOT NULL);
    INSERT INTO counter VALUES (1, 0);
    CREATE TABLE session (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        turn INTEGER,
        held_up_to INTEGER NOT NULL DEFAULT 0,
        locked_until INTEGER,
        lock_token TEXT);
    CREATE INDEX session_line ON session (turn) WHERE turn IS NOT NULL;
    CREATE INDEX session_lock ON session (locked_until) WHERE locked_until IS NOT NULL;
    CREATE TABLE message (
        number INTEGER PRIMARY KEY,
        session INTEGER NOT NULL,
        failed_deliveries INTEGER NOT NULL DEFAULT 0,
        enqueued_at INTEGER NOT NULL,
        due INTEGER,
        locked_until INTEGER,
        lock_token TEXT,
        message_id TEXT NOT NULL,
        session_id TEXT NOT NULL,
        subject TEXT NOT NULL,
        correlation_id TEXT NOT NULL,
        content_type TEXT NOT NULL,
        scheduled_at INTEGER,
        properties BLOB NOT NULL,
        body BLOB NOT NULL);
    CREATE INDEX message_ready ON message (session, due, locked_until) WHERE due IS NULL AND locked_until IS NULL;
    CREATE INDEX message_lock ON message (locked_until) WHERE locked_until IS NOT NULL;
    CREATE INDEX message_due ON message (due) WHERE due IS NOT NULL;
    CREATE TABLE dead_letter (
        number INTEGER PRIMARY KEY,
        delivery_count INTEGER NOT NULL,
        enqueued_at INTEGER NOT NULL,
        dead_lettered_at INTEGER NOT NULL,
        reason TEXT NOT NULL,
        description TEXT NOT NULL,
        message_id TEXT NOT NULL,
        session_id TEXT NOT NULL,
        subject TEXT NOT NULL,
        correlation_id TEXT NOT NULL,
        content_type TEXT NOT NULL,
        scheduled_at INTEGER,
        properties BLOB NOT NULL,
        body BLOB NOT NULL);
    CREATE INDEX dead_letter_id ON dead_letter (message_id);
    CREATE TABLE seen (number INTEGER PRIMARY KEY, message_id TEXT NOT NULL UNIQUE, seen_at INTEGER NOT NULL);
)",
                               .upgrades = upgrades};

#define ESCQRS_CONTENT "message_id, session_id, subject, correlation_id, content_type, scheduled_at, properties, body"
#define ESCQRS_READY "session = ?1 AND due IS NULL AND locked_until IS NULL"

// Without RETURNING, for which SQLite makes a table each time.
inline constexpr const char* count_on = "UPDATE counter SET last = last + ?1 WHERE id = 1";
inline constexpr const char* last_number = "SELECT last FROM counter WHERE id = 1";

// Sending. A changed row means that the id is new; ?4 is the end of the window before.
inline constexpr const char* remember_id =
    "INSERT INTO seen (number, message_id, seen_at) VALUES (?1, ?2, ?3) ON CONFLICT (message_id) "
    "DO UPDATE SET number = excluded.number, seen_at = excluded.seen_at WHERE seen_at <= ?4";
inline constexpr const char* forget_ids =
    "DELETE FROM seen WHERE number IN (SELECT number FROM "
    "(SELECT number, seen_at FROM seen ORDER BY number LIMIT ?1) WHERE seen_at <= ?2)";
inline constexpr const char* add_session =
    "INSERT INTO session (id, name, turn) VALUES (?1, ?2, ?1) ON CONFLICT (name) DO NOTHING";
inline constexpr const char* find_session = "SELECT id FROM session WHERE name = ?1";
inline constexpr const char* add_message =
    "INSERT INTO message (number, session, enqueued_at, due, " ESCQRS_CONTENT ") "
    "VALUES (?1, ?2, ?3, NULLIF(?4, -1), ?5, ?6, ?7, ?8, ?9, NULLIF(?10, -1), ?11, ?12)";

// The clock. ?1 and ?2 are its steady reading and the time of day.
inline constexpr const char* select_clock = "SELECT origin, ahead FROM clock WHERE id = 1";
inline constexpr const char* set_clock = "UPDATE clock SET origin = ?1, ahead = ?2 WHERE id = 1";
inline constexpr const char* end_message_locks = "UPDATE message SET locked_until = ?1 WHERE locked_until IS NOT NULL";
inline constexpr const char* end_session_locks = "UPDATE session SET locked_until = ?1 WHERE locked_until IS NOT NULL";
inline constexpr const char* set_seen = "UPDATE seen SET seen_at = ?1 - max(0, ?2 - (seen_at + ?3))";

// Time.
inline constexpr const char* due_messages =
    "SELECT number, session_id FROM message WHERE due IS NOT NULL AND due <= ?1 ORDER BY due, number LIMIT ?2";
inline constexpr const char* enqueue_due =
    "UPDATE message SET number = ?2, session = ?3, enqueued_at = ?4, due = NULL WHERE number = ?1";
inline constexpr const char* expired_sessions =
    "SELECT id, held_up_to, lock_token FROM session WHERE locked_until IS NOT NULL AND locked_until <= ?1 "
    "ORDER BY locked_until LIMIT ?2";
inline constexpr const char* fail_held =
    "UPDATE message SET failed_deliveries = failed_deliveries + 1 WHERE " ESCQRS_READY " AND number <= ?2";
inline constexpr const char* failed_too_often =
    "SELECT number, failed_deliveries FROM message WHERE " ESCQRS_READY " AND number <= ?2 AND failed_deliveries >= ?3";
inline constexpr const char* expired_messages =
    "SELECT number, failed_deliveries FROM message WHERE locked_until IS NOT NULL AND locked_until <= ?1 "
    "ORDER BY locked_until LIMIT ?2";
inline constexpr const char* fail_message =
    "UPDATE message SET failed_deliveries = failed_deliveries + 1, locked_until = NULL, lock_token = NULL "
    "WHERE number = ?1";

// Receiving.
inline constexpr const char* line = "SELECT id FROM session WHERE turn IS NOT NULL ORDER BY turn LIMIT ?1";
inline constexpr const char* ready_messages = "SELECT number, failed_deliveries, enqueued_at, " ESCQRS_CONTENT
                                              " FROM message WHERE " ESCQRS_READY " ORDER BY number LIMIT ?2";
inline constexpr const char* lock_session =
    "UPDATE session SET turn = NULL, held_up_to = ?2, locked_until = ?3, lock_token = ?4 WHERE id = ?1";
inline constexpr const char* lock_message = "UPDATE message SET locked_until = ?2, lock_token = ?3 WHERE number = ?1";

// Settling. A session is looked up by name, and found only for the holder of its lock.
inline constexpr const char* held_session =
    "SELECT id, held_up_to FROM session WHERE name = ?1 AND lock_token = ?2 AND locked_until > ?3";
inline constexpr const char* held_message =
    "SELECT failed_deliveries, properties FROM message WHERE number = ?1 AND session = 0 AND lock_token = ?2 "
    "AND locked_until > ?3";
inline constexpr const char* message_of_session =
    "SELECT failed_deliveries, properties FROM message WHERE number = ?1 AND session = ?2";
inline constexpr const char* remove_held =
    "DELETE FROM message WHERE number = ?1 AND session = 0 AND lock_token = ?2 AND locked_until > ?3";
inline constexpr const char* remove_of_session = "DELETE FROM message WHERE number = ?1 AND session = ?2";
inline constexpr const char* remove_message = "DELETE FROM message WHERE number = ?1";
inline constexpr const char* set_properties = "UPDATE message SET properties = ?2 WHERE number = ?1";
inline constexpr const char* hold_up_to = "UPDATE session SET held_up_to = ?2 WHERE id = ?1";
inline constexpr const char* first_of_session =
    "SELECT number FROM message WHERE " ESCQRS_READY " ORDER BY number LIMIT 1";
inline constexpr const char* release_session =
    "UPDATE session SET turn = ?3, held_up_to = 0, locked_until = NULL, lock_token = NULL "
    "WHERE id = ?1 AND lock_token = ?2";
inline constexpr const char* remove_session = "DELETE FROM session WHERE id = ?1 AND lock_token = ?2";
inline constexpr const char* renew_session = "UPDATE session SET locked_until = ?2 WHERE id = ?1";
inline constexpr const char* renew_message = "UPDATE message SET locked_until = ?2 WHERE number = ?1";
inline constexpr const char* dead_letter =
    "INSERT INTO dead_letter (number, delivery_count, enqueued_at, dead_lettered_at, reason, "
    "description, " ESCQRS_CONTENT ") SELECT number, failed_deliveries, enqueued_at, ?2, ?3, ?4, " ESCQRS_CONTENT
    " FROM message WHERE number = ?1";
inline constexpr const char* find_dead_letter =
    "SELECT number, session_id FROM dead_letter WHERE message_id = ?1 ORDER BY number LIMIT 1";
inline constexpr const char* resubmit = "INSERT INTO message (number, session, enqueued_at, " ESCQRS_CONTENT ") "
                                        "SELECT ?2, ?3, ?4, " ESCQRS_CONTENT " FROM dead_letter WHERE number = ?1";
inline constexpr const char* remove_dead_letter = "DELETE FROM dead_letter WHERE number = ?1";

// Looking, outside transactions.
inline constexpr const char* can_take =
    "SELECT EXISTS (SELECT 1 FROM session WHERE turn IS NOT NULL) OR "
    "EXISTS (SELECT 1 FROM message WHERE session = 0 AND due IS NULL AND locked_until IS NULL)";
inline constexpr const char* next_change =
    "SELECT (SELECT due FROM message WHERE due IS NOT NULL ORDER BY due LIMIT 1), "
    "(SELECT locked_until FROM message WHERE locked_until IS NOT NULL ORDER BY locked_until LIMIT 1), "
    "(SELECT locked_until FROM session WHERE locked_until IS NOT NULL ORDER BY locked_until LIMIT 1)";
inline constexpr const char* dead_letters =
    "SELECT number, delivery_count, enqueued_at, " ESCQRS_CONTENT ", dead_lettered_at, reason, description "
    "FROM dead_letter WHERE number > ?1 ORDER BY number LIMIT ?2";
inline constexpr const char* data_version = "PRAGMA data_version";
inline constexpr const char* counts =
    "SELECT (SELECT count(*) FROM message WHERE due IS NULL AND locked_until IS NULL), "
    "(SELECT count(*) FROM message WHERE locked_until IS NOT NULL), "
    "(SELECT count(*) FROM message WHERE due IS NOT NULL), (SELECT count(*) FROM dead_letter), "
    "(SELECT count(*) FROM session s CROSS JOIN message m ON m.session = s.id AND m.due IS NULL "
    "AND m.locked_until IS NULL AND m.number <= s.held_up_to WHERE s.locked_until IS NOT NULL)";

#undef ESCQRS_CONTENT
#undef ESCQRS_READY

/// The statements whose cost must not grow with the queue, for a test to check their plans.
inline constexpr const char* flat[] = {
    count_on,           last_number,      remember_id,       forget_ids,     add_session,
    find_session,       add_message,      due_messages,      enqueue_due,    expired_sessions,
    fail_held,          failed_too_often, expired_messages,  fail_message,   line,
    ready_messages,     lock_session,     lock_message,      held_session,   held_message,
    message_of_session, remove_held,      remove_of_session, remove_message, set_properties,
    hold_up_to,         first_of_session, release_session,   remove_session, renew_session,
    renew_message,      dead_letter,      find_dead_letter,  resubmit,       remove_dead_letter,
    can_take,           next_change,      dead_letters};

} // namespace escqrs::inline v0::sqlite::detail::queue_sql
