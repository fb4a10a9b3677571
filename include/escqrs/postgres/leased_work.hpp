// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/clock.hpp>
#include <escqrs/core/stop_token.hpp>
#include <escqrs/postgres/detail/leased_work.hpp>
#include <escqrs/postgres/detail/sharded_work.hpp>
#include <escqrs/postgres/lease.hpp>
#include <escqrs/postgres/shard.hpp>

#include <cstddef>
#include <string>
#include <utility>

namespace escqrs::inline v0::postgres {

/// Calls `work(lease, stop)` whenever, and as long as, this process holds the lease of that name: of any number of
/// processes that call this, one works. When it ends or dies, another takes over, at the latest when the lease has run
/// out.
///
/// `work` must return soon after a stop request. One is made when the lease is lost, when it ends and has not been
/// renewed, by the machine's steady clock and whether or not the server answers, and when `stop` is requested. What
/// `work` writes with a `Checkpoint` that knows the lease is refused once another holds it. What `work` does outside
/// the database is not: check the stop token before each such effect.
///
/// Returns when stopped, a few seconds after `work` has returned even if the server does not answer; or when `work` has
/// returned by itself.
/// @param connection  used for the lease only
/// @throws what `work` threw, except LeaseLost and passing errors (`DatabaseError::is_passing`): then it is begun
///         again, here or elsewhere. DatabaseError if the lease cannot be acquired, and that is not passing
template <class Work>
void run_leased(Connection& connection, const std::string& name, stop_token stop, Work work,
                const LeaseOptions& options = {}, Clock& clock = system_clock())
{
    const detail::StopsWaits stops_waits{connection, stop};
    detail::LeasedWork leased{connection, name, options, clock, stop, std::move(work)};
    while (!stop.stop_requested() && !leased.is_finished()) {
        try {
            leased.tend();
            if (!leased.is_begun() && !leased.is_finished()) leased.try_begin();
        } catch (const DatabaseError& error) {
            if (!error.is_passing()) throw;
        }
        sleep_for(clock, leased.pause(), stop);
    }
    leased.request_stop();
    try {
        leased.join();
    } catch (const DatabaseError& error) {
        if (!error.is_passing()) throw;
    }
}

/// Calls `work(shard, lease, stop)` for shards 0 to `shards` - 1, spread evenly over all processes that call this with
/// the same name: each shard is worked on by one of them at a time. When a process comes or goes, the shards are spread
/// anew.
///
/// `work` is as for `run_leased`. Each shard has its own lease, and needs its own checkpoint and connection. The
/// database keeps the number of shards: with another number, a stream belongs to another shard, with another
/// checkpoint. Returns when stopped.
/// @param connection  used for the leases only
/// @throws as `run_leased`; ShardCountMismatch if the name has another number of shards, which the first worker has set
template <class Work>
void run_sharded(Connection& connection, const std::string& name, std::size_t shards, stop_token stop, Work work,
                 const LeaseOptions& options = {}, Clock& clock = system_clock())
{
    const detail::StopsWaits stops_waits{connection, stop};
    detail::ShardedWork sharded{connection, name, shards, std::move(work), options, clock, stop};
    while (!stop.stop_requested()) {
        try {
            sharded.tend();
        } catch (const DatabaseError& error) {
            if (!error.is_passing()) throw;
        }
        sleep_for(clock, sharded.pause(), stop);
    }
    sharded.end();
}

} // namespace escqrs::inline v0::postgres
