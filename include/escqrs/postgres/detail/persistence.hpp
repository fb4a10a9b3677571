// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/backoff.hpp>
#include <escqrs/core/clock.hpp>
#include <escqrs/core/stop_token.hpp>
#include <escqrs/core/timestamp.hpp>
#include <escqrs/postgres/connection.hpp>
#include <escqrs/postgres/database_error.hpp>
#include <escqrs/postgres/detail/answer_limit.hpp>

#include <chrono>
#include <optional>
#include <utility>

namespace escqrs::inline v0::postgres::detail {

/// How long a call of the event store tries.
/// @par Thread safety  may be called from any thread
class Persistence {
public:
    /// @param at_most  how long after the first failure it begins again; enough for a server to start in
    Persistence(Clock& clock, Duration at_most, const ConnectionOptions& options)
        : clock_{&clock}, at_most_{at_most}, answer_timeout_{options.answer_timeout}, stop_{options.stop}
    {
    }

    /// Of a call that begins now: the server may be silent once, and then not be reached.
    /// @param stop  of the call, where it has one
    CallLimit limit(const stop_token& stop = {}) const
    {
        const Duration in_all =
            at_most_ > Duration::max() - answer_timeout_ ? Duration::max() : at_most_ + answer_timeout_;
        return CallLimit::within(in_all, stop.stop_possible() ? stop : stop_);
    }

    /// Does `work` again, with growing pauses, when it was interrupted: a connection was lost, the server chose a
    /// victim among those that waited for each other, or it lost patience by an administrator's `lock_timeout` or
    /// `statement_timeout`, which only happens behind a PgBouncer (see `pin_settings`). A server that is read-only, or
    /// short of something, is reported at once: the caller decides whether to wait for it.
    template <class Work>
    auto run(const CallLimit& limit, Work work) const
    {
        Backoff backoff{std::chrono::milliseconds{10}, std::chrono::seconds{1}};
        std::optional<SteadyTime> first_failure;
        for (;;) {
            Duration pause{};
            try {
                return work();
            } catch (const DatabaseError& error) {
                pause = backoff.next();
                if (!first_failure) first_failure = clock_->steady();
                const bool has_time = later_by(clock_->steady(), pause) <= later_by(*first_failure, at_most_);
                if (error.failure_kind() != FailureKind::interrupted || !has_time || limit.is_over()) throw;
            }
            sleep_for(*clock_, pause, limit.stop);
        }
    }

private:
    Clock* clock_;
    Duration at_most_;
    Duration answer_timeout_;
    stop_token stop_;
};

} // namespace escqrs::inline v0::postgres::detail
