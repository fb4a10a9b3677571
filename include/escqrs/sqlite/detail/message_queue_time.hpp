// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/config.hpp>
#include <escqrs/messaging/message_queue_time.hpp>
#include <escqrs/sqlite/database.hpp>
#include <escqrs/sqlite/detail/message_queue_sql.hpp>

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

namespace escqrs::inline v0::sqlite::detail {

using escqrs::detail::QueueTime;

/// A reading of a steady clock as it stands in the tables.
inline std::int64_t as_number(SteadyTime time) noexcept { return time.time_since_epoch().count(); }

/// When time alone will make something available.
struct NextChange {
    Timestamp due = Timestamp::max();        ///< of a scheduled message
    SteadyTime lock_end = SteadyTime::max(); ///< of a lock that may run out

    bool is_due(const QueueTime& now) const noexcept { return due <= now.now || lock_end <= now.steady; }
    Duration wait(const QueueTime& now) const noexcept
    {
        return std::min(time_until(due, now.now), time_until(lock_end, now.steady));
    }
};

/// @param next_change  the statement of that name
ESCQRS_INLINE NextChange read_next_change(Statement& next_change);

/// Has the file count from where the clock does. If that is new, the machine has been started anew: the locks have ended
/// with their holders, and ids of messages are as old as the time of day says.
ESCQRS_INLINE void adopt_clock(Database& database, const Clock& clock);

#if ESCQRS_HAS_BODIES

ESCQRS_INLINE NextChange read_next_change(Statement& next_change)
{
    NextChange next;
    auto rows = next_change.query();
    if (!rows.next()) return next;
    if (!rows.is_null(0)) next.due = rows.time(0);
    for (const int column : {1, 2}) {
        if (!rows.is_null(column)) next.lock_end = std::min(next.lock_end, SteadyTime{Duration{rows.integer(column)}});
    }
    return next;
}

ESCQRS_INLINE void adopt_clock(Database& database, const Clock& clock)
{
    const std::string origin = clock.steady_origin();
    Transaction transaction{database};
    std::int64_t ahead = 0;
    {
        Statement select{database, queue_sql::select_clock};
        auto rows = select.query();
        if (!rows.next() || rows.text(0) == origin) return;
        ahead = rows.integer(1);
    }
    const QueueTime now{clock};
    const std::int64_t steady = as_number(now.steady);
    Statement{database, queue_sql::end_message_locks}.run(steady);
    Statement{database, queue_sql::end_session_locks}.run(steady);
    Statement{database, queue_sql::set_seen}.run(steady, now.now, ahead);
    Statement{database, queue_sql::set_clock}.run(origin, now.now.time_since_epoch().count() - steady);
    transaction.commit();
}

#endif // ESCQRS_HAS_BODIES

} // namespace escqrs::inline v0::sqlite::detail
