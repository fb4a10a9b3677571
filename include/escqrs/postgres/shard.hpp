// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/error.hpp>
#include <escqrs/core/hash.hpp>
#include <escqrs/core/identifiers.hpp>
#include <escqrs/postgres/connection.hpp>
#include <escqrs/postgres/read_model_schema.hpp>
#include <escqrs/postgres/schema.hpp>
#include <escqrs/postgres/statement.hpp>

#include <cstddef>
#include <cstdint>
#include <string>

namespace escqrs::inline v0::postgres {

/// A worker has another number of shards for a name than the other workers have, or had. It works on none.
class ESCQRS_EXPORT ShardCountMismatch : public StoreError {
public:
    ShardCountMismatch(const std::string& name, std::size_t expected, std::size_t found)
        : StoreError{"shards of '" + name + "': expected " + std::to_string(expected) +
                     ", the number that the database has, found " + std::to_string(found)},
          expected_{expected}, found_{found}
    {
    }

    std::size_t expected() const noexcept { return expected_; } ///< the number in the database
    std::size_t found() const noexcept { return found_; }       ///< the worker's

private:
    std::size_t expected_;
    std::size_t found_;
};

/// The one of `shards` that a stream belongs to; the same in every process and release.
inline std::size_t shard_of(const StreamId& stream, std::size_t shards) noexcept
{
    std::uint64_t hash = escqrs::detail::fnv1a(stream.text());
    hash = (hash ^ hash >> 33U) * 0xFF51AFD7ED558CCDU; // names that differ in the end only, spread over all bits
    return static_cast<std::size_t>(hash >> 33U) % shards;
}

namespace detail {

/// Makes the leases of the shards of `name`, unless there are any: each has their number. They stay, so that the number
/// does. Within a transaction.
/// @return the number of shards
inline std::size_t claim_shards(Connection& connection, const std::string& name, std::size_t shards,
                                const std::string& schema)
{
    constexpr const char* insert =
        "INSERT INTO {s}.leases AS lease (name, holder, token, expires_at, shards) "
        "SELECT $1 || '/' || shard::text, '', 1, '-infinity', $2 FROM generate_series($3, $4) "
        "AS shard ON CONFLICT (name) DO UPDATE SET shards = ";
    // The first one decides.
    Statement first{
        connection,
        with_schema(std::string{insert} + "coalesce(lease.shards, excluded.shards) RETURNING shards", schema)};
    auto rows = first.query(name, shards, 0, 0);
    const std::size_t found = rows.next() ? static_cast<std::size_t>(rows.integer(0)) : 0;
    if (found != shards) return found;
    Statement others{connection,
                     with_schema(std::string{insert} + "excluded.shards WHERE lease.shards IS NULL", schema)};
    others.run(name, shards, 1, shards - 1);
    return found;
}

} // namespace detail

} // namespace escqrs::inline v0::postgres
