// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/clock.hpp>
#include <escqrs/detail/check_option.hpp>
#include <escqrs/postgres/detail/leased_work.hpp>
#include <escqrs/postgres/lease.hpp>
#include <escqrs/postgres/statement.hpp>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

namespace escqrs::postgres::detail {

/// The shards of one process.
class ShardedWork {
public:
    template <class Work>
    ShardedWork(Connection& connection, const std::string& name, std::size_t shards, Work work,
                const LeaseOptions& options, Clock& clock)
        : members_{name + "/worker/"}, membership_{connection, members_ + options.holder, options},
          select_members_{connection, with_schema("SELECT holder FROM {s}.leases WHERE starts_with(name, $1) AND "
                                                  "expires_at >= clock_timestamp() ORDER BY holder",
                                                  options.schema)}
    {
        escqrs::detail::check_at_least(1, shards, "shards");
        for (std::size_t shard = 0; shard < shards; ++shard) {
            shards_.push_back(std::make_unique<LeasedWork>(
                connection, name + '/' + std::to_string(shard), options, clock,
                [work, shard](const Lease& lease, std::stop_token stop) { work(shard, lease, std::move(stop)); }));
        }
    }

    /// Renews what is held, gives away what is too much, takes what is missing.
    void tend()
    {
        for (auto& shard : shards_) shard->tend();
        (void)membership_.acquire();
        std::size_t wanted = share();
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

    void end()
    {
        for (auto& shard : shards_) shard->request_stop();
        for (auto& shard : shards_) shard->join();
        membership_.release();
    }

private:
    /// How many shards this process is to have, going by those who are alive.
    std::size_t share()
    {
        auto rows = select_members_.query(members_);
        const std::size_t members = std::max<std::size_t>(rows.size(), 1);
        std::size_t rank = 0;
        while (rows.next() && rows.text(0) != membership_.options().holder) ++rank;
        return shards_.size() / members + (rank < shards_.size() % members ? 1 : 0);
    }

    std::string members_;
    Lease membership_;
    Statement select_members_;
    std::vector<std::unique_ptr<LeasedWork>> shards_;
};

} // namespace escqrs::postgres::detail
