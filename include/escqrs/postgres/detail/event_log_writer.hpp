// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/clock.hpp>
#include <escqrs/core/group_queue.hpp>
#include <escqrs/postgres/connection_pool.hpp>
#include <escqrs/postgres/detail/append_session.hpp>
#include <escqrs/postgres/detail/persistence.hpp>
#include <escqrs/postgres/detail/session_settings.hpp>
#include <escqrs/store/event_store.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <exception>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace escqrs::inline v0::postgres::detail {

/// Appends of many threads over a few connections: appends that wait go out together, in one round trip and one
/// transaction, each failing or succeeding alone.
///
/// When a connection is lost, what was under way is sent again, with the same event ids, so that it is stored once.
/// When the limit of the caller that came first is over, all appends that went out with it have failed: otherwise each
/// would wait for a silent server in turn.
/// @par Thread safety  `append` may be called from any thread
class EventLogWriter {
public:
    struct Options {
        ConnectionOptions connection;
        std::size_t max_connections;
        std::size_t max_group_size;
        Persistence persistence;
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

        CallLimit limit{};
        std::exception_ptr failure;
    };

    static constexpr std::size_t max_group_bytes = 4 * 1024 * 1024;

    void append_group(Caller* first) noexcept;
    void append_together(std::span<Caller* const> group) noexcept;
    bool append_alone(Caller& caller, const CallLimit& limit) noexcept;
    AppendResult append_alone(Caller& caller, AppendSession& session);
    template <class Work>
    void with_session(const CallLimit& limit, Work work)
    {
        options_.persistence.run(limit, [&] { sessions_.with_one(work, limit); });
    }

    Options options_;
    ConnectionPool<AppendSession> sessions_;
    escqrs::detail::GroupQueue<Caller> queue_;
};

inline AppendResult EventLogWriter::append(const StreamId& stream, ExpectedVersion expected,
                                           std::span<const NewEvent> events)
{
    Caller self{stream, expected, events};
    self.limit = options_.persistence.limit();
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
    const CallLimit limit =
        (*std::ranges::min_element(group, {}, [](const Caller* caller) { return caller->limit.end; }))->limit;
    std::exception_ptr lost;
    if (group.size() > 1) {
        try {
            with_session(limit, [&](AppendSession& session) { session.send(options_.clock->now(), group); });
        } catch (const ConnectionLost&) {
            lost = std::current_exception();
        } catch (...) { // NOLINT(bugprone-empty-catch): nothing of it is stored; who is to blame, each finds out alone
        }
    }
    for (Caller* const caller : group) {
        if (caller->result) continue;
        if (lost && limit.is_over()) caller->failure = lost;
        else if (!append_alone(*caller, limit)) lost = caller->failure;
    }
}

/// @return false if the server cannot be reached
inline bool EventLogWriter::append_alone(Caller& caller, const CallLimit& limit) noexcept
{
    try {
        with_session(limit, [&](AppendSession& session) { caller.result = append_alone(caller, session); });
    } catch (const ConnectionLost&) {
        caller.failure = std::current_exception();
        return false;
    } catch (...) {
        caller.failure = std::current_exception();
    }
    return true;
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
            // Otherwise another append came between.
        }
    }
    if (caller.result) return *caller.result;
    if (const auto repeat = session.find_repeat(caller)) return *repeat;
    throw ConcurrencyError{*caller.stream, caller.expected, caller.actual};
}

} // namespace escqrs::inline v0::postgres::detail
