// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/check_option.hpp>
#include <escqrs/core/clock.hpp>
#include <escqrs/core/error.hpp>
#include <escqrs/core/stop_token.hpp>
#include <escqrs/postgres/connection.hpp>
#include <escqrs/postgres/detail/leased_work.hpp>
#include <escqrs/postgres/lease.hpp>
#include <escqrs/postgres/read_model_schema.hpp>
#include <escqrs/postgres/schema.hpp>
#include <escqrs/postgres/shard.hpp>
#include <escqrs/postgres/statement.hpp>

#include <cstddef>
#include <exception>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace escqrs::inline v0::postgres::detail {

/// The workers that share the shards of a name. Each has a row that expires like a lease.
/// @par Thread safety  as its connection: one thread at a time
class ShardWorkers {
public:
    /// @param self  unlike any other
    ShardWorkers(Connection& connection, std::string name, const LeaseOptions& options)
        : name_{std::move(name)}, self_{options.holder}, duration_{options.duration},
          upsert_{connection, with_schema("INSERT INTO {s}.shard_workers VALUES "
                                          "($1, $2, clock_timestamp() + $3::float8 * interval '1 microsecond') "
                                          "ON CONFLICT (name, worker) DO UPDATE SET expires_at = excluded.expires_at",
                                          options.schema)},
          select_{connection, with_schema("SELECT worker, expires_at >= clock_timestamp(), "
                                          "(SELECT shards FROM {s}.leases WHERE name = $1 || '/0') "
                                          "FROM {s}.shard_workers WHERE name = $1",
                                          options.schema)},
          // One worker removes a row; the others skip it.
          delete_dead_{connection, with_schema("DELETE FROM {s}.shard_workers WHERE name = $1 AND worker IN "
                                               "(SELECT worker FROM {s}.shard_workers WHERE name = $1 AND "
                                               "expires_at < clock_timestamp() FOR UPDATE SKIP LOCKED)",
                                               options.schema)},
          delete_{connection,
                  with_schema("DELETE FROM {s}.shard_workers WHERE name = $1 AND worker = $2", options.schema)}
    {
    }

    /// Reports that this worker lives, and removes the rows of dead workers.
    /// @return how many of `shards` it should have
    /// @throws ShardCountMismatch if there are not as many any more
    std::size_t share_of(std::size_t shards)
    {
        upsert_.run(name_, self_, duration_.count());
        auto rows = select_.query(name_);
        std::size_t living = 0;
        std::size_t rank = 0;
        while (rows.next()) {
            const auto found = static_cast<std::size_t>(rows.integer(2));
            if (found != shards) {
                leave(); // no shard should wait for this worker
                throw ShardCountMismatch{name_, found, shards};
            }
            if (rows.integer(1) == 0) continue;
            ++living;
            if (rows.text(0) < self_) ++rank;
        }
        if (living < rows.size()) delete_dead_.run(name_);
        if (living == 0) return shards; // paused since, for so long
        return shards / living + (rank < shards % living ? 1 : 0);
    }

    void leave() { delete_.run(name_, self_); }

private:
    std::string name_;
    std::string self_;
    Duration duration_;
    Statement upsert_;
    Statement select_;
    Statement delete_dead_;
    Statement delete_;
};

/// The shards of one process.
class ShardedWork {
public:
    template <class Work>
    ShardedWork(Connection& connection, const std::string& name, std::size_t shards, Work work,
                const LeaseOptions& options, Clock& clock, const stop_token& stop)
        : connection_{&connection},
          workers_{with_shards(connection, name, shards, Lease::checked(options).schema), name, Lease::checked(options)}
    {
        for (std::size_t shard = 0; shard < shards; ++shard) {
            shards_.push_back(std::make_unique<LeasedWork>(
                connection, name + '/' + std::to_string(shard), options, clock, stop,
                [work, shard](const Lease& lease, stop_token until) { work(shard, lease, std::move(until)); }, shards));
        }
    }
    ShardedWork(const ShardedWork&) = delete;
    ShardedWork& operator=(const ShardedWork&) = delete;
    ~ShardedWork() { request_stop(); } // of all of them, before waiting for the first

    /// Renews what is held, releases what is too much, takes what is missing. A server that cannot be reached is tried
    /// once.
    void tend()
    {
        bool is_answering = true;
        for_all([&](LeasedWork& shard) {
            if (is_answering) is_answering = shard.tend();
        });
        if (!is_answering) return;
        std::size_t wanted = workers_.share_of(shards_.size());
        for (auto& shard : shards_) {
            if (!shard->is_begun() || shard->is_stopping()) continue;
            if (wanted == 0) shard->request_stop();
            else --wanted;
        }
        for (auto& shard : shards_) {
            if (wanted == 0) return;
            if (shard->is_begun()) continue;
            shard->try_begin();
            if (shard->is_begun()) --wanted;
        }
    }

    /// How long to wait between two calls of `tend`.
    Duration pause() const noexcept { return shards_.front()->pause(); }

    void end()
    {
        request_stop();
        try {
            for_all([](LeasedWork& shard) { shard.join(); });
        } catch (...) {
            leave();
            throw;
        }
        leave();
    }

private:
    /// Calls `act` for each shard, whatever fails with another one.
    /// @throws the first failure that is not passing
    template <class Act>
    void for_all(Act act)
    {
        std::exception_ptr failure;
        for (auto& shard : shards_) {
            try {
                act(*shard);
            } catch (const DatabaseError& error) {
                if (!failure && !error.is_passing()) failure = std::current_exception();
            } catch (...) {
                if (!failure) failure = std::current_exception();
            }
        }
        if (failure) std::rethrow_exception(failure);
    }

    void leave() noexcept
    {
        try {
            if (!connection_->is_lost()) workers_.leave();
        } catch (...) { // NOLINT(bugprone-empty-catch): the others remove it
        }
    }

    void request_stop()
    {
        for (auto& shard : shards_) shard->request_stop();
    }

    static Connection& with_shards(Connection& connection, const std::string& name, std::size_t shards,
                                   const std::string& schema);

    Connection* connection_;
    ShardWorkers workers_;
    std::vector<std::unique_ptr<LeasedWork>> shards_;
};

/// @return `connection`, in whose database `name` is divided into as many shards
inline Connection& ShardedWork::with_shards(Connection& connection, const std::string& name, std::size_t shards,
                                            const std::string& schema)
{
    escqrs::detail::check_at_least(1, shards, "shards");
    Transaction transaction{with_read_models(connection, schema)};
    const std::size_t found = claim_shards(connection, name, shards, schema);
    if (found != shards) throw ShardCountMismatch{name, found, shards};
    transaction.commit();
    return connection;
}

} // namespace escqrs::inline v0::postgres::detail
