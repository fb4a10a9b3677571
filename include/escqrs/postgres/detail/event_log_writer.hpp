// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/clock.hpp>
#include <escqrs/detail/group_queue.hpp>
#include <escqrs/event_store.hpp>
#include <escqrs/postgres/connection_pool.hpp>
#include <escqrs/postgres/detail/append_session.hpp>
#include <escqrs/postgres/detail/session_settings.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <exception>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace escqrs::postgres::detail {

/// Does `work` again, with growing pauses, when a connection was lost, when the server chose a victim among those that waited for
/// each other, or when it lost patience by an administrator's `lock_timeout` or `statement_timeout`, which only happens behind a
/// PgBouncer (see `pin_settings`).
/// @param at_most  how long after the first failure it begins again; enough for a server to start in
template <class Work>
auto persistently(Clock& clock, Duration at_most, Work work)
{
    constexpr Duration longest_pause = std::chrono::seconds{1};
    std::optional<SteadyTime> first_failure;
    for (Duration pause = std::chrono::milliseconds{10};; pause = std::min(2 * pause, longest_pause)) {
        try {
            return work();
        } catch (const DatabaseError& error) {
            const bool is_passing = dynamic_cast<const ConnectionLost*>(&error) != nullptr ||
                                    error.state() == "40P01" || error.state() == "40001" || error.state() == "55P03" ||
                                    error.state() == "57014";
            if (!first_failure) first_failure = clock.steady();
            if (!is_passing || later_by(clock.steady(), pause) > later_by(*first_failure, at_most)) throw;
        }
        sleep_for(clock, pause, {});
    }
}

/// Appends of many threads over a few connections: those that wait go out together, in one round trip and one transaction,
/// each failing or succeeding alone.
///
/// When a connection is lost, what was under way is sent again, with the same event ids, so that it is stored once.
/// @par Thread safety  `append` may be called from any thread
class EventLogWriter {
public:
    struct Options {
        ConnectionOptions connection;
        std::size_t max_connections;
        std::size_t max_group_size;
        Duration reconnect_timeout;
        Clock* clock;
    };

    EventLogWriter(const std::string& address, const std::string& schema, const Options& options)
        : options_{options}, sessions_{address, options.connection, options.max_connections,
                                       [schema](Connection& connection) {
                                           pin_settings(connection);
                                           return AppendSession{connection, schema};
                                       }},
          queue_{options.max_group_size, options.max_connections}
    {
    }

    AppendResult append(const StreamId& stream, ExpectedVersion expected, std::span<const NewEvent> events);

private:
    struct Caller : PendingAppend, escqrs::detail::GroupQueue<Caller>::Entry {
        using PendingAppend::PendingAppend;

        std::exception_ptr failure;
    };

    static constexpr std::size_t max_group_bytes = 4 * 1024 * 1024;

    void append_group(Caller* first) noexcept;
    void append_together(std::span<Caller* const> group) noexcept;
    void append_alone(Caller& caller) noexcept;
    AppendResult append_alone(Caller& caller, AppendSession& session);
    template <class Work>
    void with_session(Work work)
    {
        persistently(*options_.clock, options_.reconnect_timeout, [&] { sessions_.with_one(work); });
    }

    Options options_;
    ConnectionPool<AppendSession> sessions_;
    escqrs::detail::GroupQueue<Caller> queue_;
};

inline AppendResult EventLogWriter::append(const StreamId& stream, ExpectedVersion expected,
                                           std::span<const NewEvent> events)
{
    Caller self{stream, expected, events};
    queue_.take_part(self, [this](Caller* first) { append_group(first); });
    if (self.failure) std::rethrow_exception(self.failure);
    return *self.result;
}

/// In parts that are bounded in bytes.
inline void EventLogWriter::append_group(Caller* first) noexcept
{
    try {
        std::vector<Caller*> part;
        while (first != nullptr) {
            part.clear();
            std::size_t bytes = 0;
            Caller* next = first;
            for (; next != nullptr && bytes <= max_group_bytes; next = next->next) {
                for (const NewEvent& event : next->events) bytes += event.payload.size() + event.metadata.size();
                part.push_back(next);
            }
            append_together(part);
            first = next;
        }
    } catch (...) { // no memory
        for (; first != nullptr; first = first->next) first->failure = std::current_exception();
    }
}

inline void EventLogWriter::append_together(std::span<Caller* const> group) noexcept
{
    if (group.size() > 1) {
        try {
            with_session([&](AppendSession& session) { session.send(options_.clock->now(), group); });
        } catch (...) { // NOLINT(bugprone-empty-catch): nothing of it is stored; who is to blame, each finds out alone
        }
    }
    for (Caller* const caller : group) {
        if (!caller->result) append_alone(*caller);
    }
}

inline void EventLogWriter::append_alone(Caller& caller) noexcept
{
    try {
        with_session([&](AppendSession& session) { caller.result = append_alone(caller, session); });
    } catch (...) {
        caller.failure = std::current_exception();
    }
}

inline AppendResult EventLogWriter::append_alone(Caller& caller, AppendSession& session)
{
    constexpr std::string_view check_violation = "23514"; // there is no partition for an event's position
    constexpr int most_attempts = 100;
    for (int attempt = 1; !caller.result; ++attempt) {
        try {
            session.send_alone(options_.clock->now(), caller);
            break;
        } catch (const DatabaseError& error) {
            const bool is_unique_violation = error.state() == unique_violation;
            if (attempt == most_attempts || (!is_unique_violation && error.state() != check_violation)) throw;
            if (!is_unique_violation) session.make_partitions(caller.events.size());
            else if (const auto repeat = session.find_repeat(caller)) return *repeat;
            // Or else another append came between.
        }
    }
    if (caller.result) return *caller.result;
    if (const auto repeat = session.find_repeat(caller)) return *repeat;
    throw ConcurrencyError{*caller.stream, caller.expected, caller.actual};
}

} // namespace escqrs::postgres::detail
