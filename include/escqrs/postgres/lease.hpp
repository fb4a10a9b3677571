// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/check_option.hpp>
#include <escqrs/core/clock.hpp>
#include <escqrs/core/id_generator.hpp>
#include <escqrs/postgres/connection.hpp>
#include <escqrs/postgres/read_model_schema.hpp>
#include <escqrs/postgres/schema.hpp>
#include <escqrs/postgres/statement.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <unistd.h>
#include <utility>

namespace escqrs::inline v0::postgres {

namespace detail {
class LeasedWork;
}

/// The lease under which something was to be written has gone to another holder; nothing was written.
class ESCQRS_EXPORT LeaseLost : public StoreError {
public:
    LeaseLost(const std::string& lease, std::int64_t token)
        : StoreError{"lease '" + lease + "': lost to another holder; expected token " + std::to_string(token) +
                     " to be the last one given out"}
    {
    }
};

/// A name for this process, for `Lease`: unique, and readable for people.
inline std::string new_lease_holder()
{
    char host[256] = "?"; // NOLINT(modernize-avoid-c-arrays): as gethostname wants it
    (void)gethostname(host, sizeof host - 1);
    return std::string{host} + ':' + std::to_string(getpid()) + ':' + escqrs::to_string(random_uuid()).substr(0, 8);
}

/// For how long a lease is held, by whom, and where.
struct LeaseOptions {
    /// After which others may take it, unless it is renewed; by the server's clock. Longer than a century is a century.
    Duration duration = std::chrono::seconds{5};
    /// Different in each process; also for people who read the table.
    std::string holder = new_lease_holder();
    std::string schema = "escqrs"; ///< of its table
};

/// The right to do something that only one of many processes may do at a time.
///
/// It is a row in the database, and expires by the server's clock; clients' clocks play no part. Each change of holder
/// gives out a greater token. A process that was paused for too long still believes that it holds the lease; so a
/// `Checkpoint` that was made with the lease compares token and holder when it commits, and nothing is written for an
/// earlier holder.
/// @par Thread safety  one thread at a time, except `token` and `name`
class Lease {
public:
    /// Creates its table if there is none.
    /// @param connection  must outlive this
    /// @throws InvalidOption
    Lease(Connection& connection, std::string name, LeaseOptions options = {})
        : Lease{connection, std::move(name), std::move(options), 0}
    {
    }

    /// The options as a lease takes them: its duration at most a century.
    /// @throws InvalidOption
    static LeaseOptions checked(LeaseOptions options);

    const std::string& name() const noexcept { return name_; }        ///< as given
    const LeaseOptions& options() const noexcept { return options_; } ///< with `duration` at most a century

    /// The last token that was given to this object; 0 if none was.
    std::int64_t token() const noexcept { return token_; }

    /// Takes the lease if it is free or has run out, or keeps it for its duration from now.
    /// @return whether this object holds it
    bool acquire()
    {
        auto rows = acquire_.query(name_, options_.holder, options_.duration.count(), token(), shards_);
        if (!rows.next()) return false;
        token_ = rows.integer(0);
        return true;
    }

    /// Releases the lease, if this object holds it.
    void release() { release_.run(name_, options_.holder, token()); }

private:
    friend class Dialect;
    friend class detail::LeasedWork;

    /// @param shards  of which it is one, and which its row must have for it to be acquired; 0 if it is none
    Lease(Connection& connection, std::string name, LeaseOptions options, std::int64_t shards);

    std::string name_;
    LeaseOptions options_;
    std::int64_t shards_;
    Statement acquire_;
    Statement release_;
    std::atomic<std::int64_t> token_{0};
};

inline Lease::Lease(Connection& connection, std::string name, LeaseOptions options, std::int64_t shards)
    : name_{std::move(name)}, options_{checked(std::move(options))}, shards_{shards},
      acquire_{
          detail::with_read_models(connection, options_.schema),
          with_schema("INSERT INTO {s}.leases AS lease (name, holder, token, expires_at, shards) "
                      "VALUES ($1, $2, 1, clock_timestamp() + $3::float8 * interval '1 microsecond', nullif($5, 0)) "
                      "ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at, "
                      "token = lease.token + (lease.holder <> $2 OR lease.token <> $4)::integer "
                      "WHERE (lease.expires_at < clock_timestamp() OR (lease.holder = $2 AND lease.token = $4)) "
                      "AND ($5 = 0 OR lease.shards = $5) RETURNING token",
                      options_.schema)},
      release_{connection, with_schema("UPDATE {s}.leases SET expires_at = '-infinity' "
                                       "WHERE name = $1 AND holder = $2 AND token = $3",
                                       options_.schema)}
{
}

inline LeaseOptions Lease::checked(LeaseOptions options)
{
    escqrs::detail::check_at_least(std::chrono::milliseconds{1}, options.duration, "duration");
    options.duration = std::min<Duration>(options.duration, std::chrono::years{100}); // dates end somewhere
    return options;
}

} // namespace escqrs::inline v0::postgres
