// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/clock.hpp>
#include <escqrs/postgres/detail/leased_work.hpp>
#include <escqrs/postgres/detail/sharded_work.hpp>
#include <escqrs/postgres/lease.hpp>
#include <escqrs/postgres/shard.hpp>

#include <cstddef>
#include <stop_token>
#include <string>
#include <utility>

namespace escqrs::postgres {

/// Does `work(lease, stop)` whenever, and as long as, this process holds the lease of that name: of any number of processes that
/// call this, one works. When it ends or dies, another takes over, at the latest when the lease has run out.
///
/// `work` is to return soon when it is asked to stop: then it has lost the lease, or is to end. What it writes with a
/// `Checkpoint` that knows the lease cannot get in the way of its successor, even if it does not notice.
/// @param connection  used for the lease only
/// @return when stopped, or when `work` has returned by itself
/// @throws what `work` threw, but for LeaseLost and what is passing (`DatabaseError::is_passing`): then it is begun again, here
///         or elsewhere. DatabaseError if the lease cannot be acquired, and that is not passing
template <class Work>
void run_leased(Connection& connection, const std::string& name, std::stop_token stop, Work work,
                const LeaseOptions& options = {}, Clock& clock = system_clock())
{
    detail::LeasedWork leased{connection, name, options, clock, std::move(work)};
    while (!stop.stop_requested() && !leased.is_finished()) {
        try {
            leased.tend();
            if (!leased.is_begun() && !leased.is_finished()) leased.try_begin();
        } catch (const DatabaseError& error) {
            if (!error.is_passing()) throw;
        }
        sleep_for(clock, options.duration / detail::renewals, stop);
    }
    leased.request_stop();
    leased.join();
}

/// Does `work(shard, lease, stop)` for shards 0 to `shards` - 1, spread evenly over all processes that call this with the same
/// name: each shard is worked on by one of them at a time. When a process comes or goes, the shards are spread anew.
///
/// `work` as for `run_leased`. Each shard has its own lease, and needs its own checkpoint and connection. The number of shards
/// is kept in the database: a stream belongs to another shard, with another checkpoint, as soon as the number is another one.
/// @param connection  used for the leases only
/// @return when stopped
/// @throws as `run_leased`; ShardCountMismatch if the name has another number of shards, from the first worker on
template <class Work>
void run_sharded(Connection& connection, const std::string& name, std::size_t shards, std::stop_token stop, Work work,
                 const LeaseOptions& options = {}, Clock& clock = system_clock())
{
    detail::ShardedWork sharded{connection, name, shards, std::move(work), options, clock};
    while (!stop.stop_requested()) {
        try {
            sharded.tend();
        } catch (const DatabaseError& error) {
            if (!error.is_passing()) throw;
        }
        sleep_for(clock, options.duration / detail::renewals, stop);
    }
    sharded.end();
}

} // namespace escqrs::postgres
