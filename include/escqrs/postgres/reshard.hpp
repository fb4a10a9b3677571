// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/check_option.hpp>
#include <escqrs/core/error.hpp>
#include <escqrs/core/identifiers.hpp>
#include <escqrs/postgres/connection.hpp>
#include <escqrs/postgres/read_model_schema.hpp>
#include <escqrs/postgres/schema.hpp>
#include <escqrs/postgres/shard.hpp>
#include <escqrs/postgres/statement.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace escqrs::inline v0::postgres {

/// Divides the streams of `name` into another number of shards (`run_sharded`), in one transaction. Projections lose no
/// event and handle none twice; readers without a transaction may see events again.
///
/// All checkpoints that were opened under the shards' leases are divided, those of one projection from the lowest
/// position on. The position of each former shard is kept with them until they have passed the highest: up to there, a
/// projection skips what the stream's former shard has handled. What is parked in a `ParkingLot` with the name of the
/// checkpoint moves with it.
///
/// May be called while workers run: those with another number write nothing from then on, and get a ShardCountMismatch.
/// Does nothing if that is the number already.
/// @throws StoreError, and nothing is changed, if a projection is being rebuilt, or has not passed what the last change
///         left; or if the name of a checkpoint does not end in the number of its shard
void reshard(Connection& connection, const std::string& name, std::size_t shards, const std::string& schema = "escqrs");

namespace detail {

/// One change of the number of shards, within a transaction.
class Resharding {
public:
    Resharding(Connection& connection, std::string name, std::size_t before, std::size_t after, std::string schema)
        : connection_{&connection}, name_{std::move(name)}, before_{before}, after_{after}, schema_{std::move(schema)}
    {
    }

    /// Checkpoints first, then leases: in this order a worker that commits takes its locks, too.
    /// @return false if a worker has opened another checkpoint meanwhile; then the transaction must be tried again
    bool run()
    {
        const auto stems = find_stems();
        std::vector<Former> formers;
        formers.reserve(stems.size());
        for (const std::string& stem : stems) formers.push_back(lock(stem));
        change_leases(); // no worker commits any more
        if (find_stems() != stems) return false;
        for (const Former& former : formers) divide(former);
        return true;
    }

private:
    /// The checkpoints of one reader: their names without the number, and their positions by shard.
    struct Former {
        std::string stem;
        std::vector<std::int64_t> positions;
        std::int64_t replay_until = 0;
        LogId log; ///< nil: not known
    };

    Statement statement(std::string_view sql) { return Statement{*connection_, with_schema(sql, schema_)}; }
    static std::string numbered(const std::string& stem, std::size_t shard) { return stem + std::to_string(shard); }

    std::set<std::string> find_stems();
    Former lock(const std::string& stem);
    void change_leases();
    void divide(const Former& former);
    void move_parked(const std::string& stem);
    [[noreturn]] void refuse(const std::string& why) const
    {
        throw StoreError{"shards of '" + name_ + "': cannot become " + std::to_string(after_) + " instead of " +
                         std::to_string(before_) + ": " + why};
    }

    Connection* connection_;
    std::string name_;
    std::size_t before_;
    std::size_t after_;
    std::string schema_;
};

inline std::set<std::string> Resharding::find_stems()
{
    std::set<std::string> stems;
    auto select = statement("SELECT checkpoint.name, shard::text FROM generate_series(0::bigint, $2 - 1) AS shard "
                            "JOIN {s}.checkpoints AS checkpoint ON lease = $1 || '/' || shard::text");
    auto rows = select.query(name_, before_);
    while (rows.next()) {
        std::string stem{rows.text(0)};
        if (!stem.ends_with(rows.text(1))) {
            refuse("expected the name of shard " + std::string{rows.text(1)} +
                   "'s checkpoint to end in that number, found '" + stem + '\'');
        }
        stem.resize(stem.size() - rows.text(1).size());
        stems.insert(std::move(stem));
    }
    return stems;
}

/// Waits until no worker is in a transaction, and keeps any from beginning one.
inline Resharding::Former Resharding::lock(const std::string& stem)
{
    auto create = statement("INSERT INTO {s}.checkpoints (name, position, replay_until) VALUES ($1, 0, 0) "
                            "ON CONFLICT DO NOTHING");
    auto select = statement("SELECT position, replay_until, handled_before IS NOT NULL, log FROM {s}.checkpoints "
                            "WHERE name = $1 FOR UPDATE");
    Former former{stem, {}, 0, {}};
    for (std::size_t shard = 0; shard < before_; ++shard) {
        const std::string checkpoint = numbered(stem, shard);
        create.run(checkpoint); // a shard that was never worked on
        auto rows = select.query(checkpoint);
        if (!rows.next()) refuse("checkpoint '" + checkpoint + "' is being removed");
        if (rows.integer(2) != 0) refuse("checkpoint '" + checkpoint + "' is still taking over from the shards before");
        if (rows.integer(0) < rows.integer(1)) {
            refuse("checkpoint '" + checkpoint + "' is being rebuilt; expected position " +
                   std::to_string(rows.integer(1)) + " or more, found " + std::to_string(rows.integer(0)));
        }
        const LogId log{rows.uuid(3)};
        if (former.log.is_nil()) former.log = log;
        if (!log.is_nil() && log != former.log) {
            refuse("checkpoint '" + checkpoint + "': expected log " + to_string(former.log) +
                   ", as that of the shards before it, found " + to_string(log));
        }
        former.positions.push_back(rows.integer(0));
        former.replay_until = std::max(former.replay_until, rows.integer(1));
    }
    return former;
}

/// Takes the leases from their holders. Those that are no longer needed get the number as well, so that no worker with
/// the former one can acquire them.
inline void Resharding::change_leases()
{
    auto first = statement("SELECT 1 FROM {s}.leases WHERE name = $1 || '/0' FOR UPDATE"); // as `claim_shards`
    (void)first.query(name_);
    auto change = statement(
        "INSERT INTO {s}.leases AS lease (name, holder, token, expires_at, shards) "
        "SELECT $1 || '/' || shard::text, '', 1, '-infinity', $2 FROM generate_series(0::bigint, $3 - 1) AS shard "
        "ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, token = lease.token + 1, "
        "expires_at = excluded.expires_at, shards = excluded.shards");
    change.run(name_, after_, std::max(before_, after_));
}

inline void Resharding::divide(const Former& former)
{
    const auto lowest = std::ranges::min_element(former.positions);
    const bool are_level = *lowest == *std::ranges::max_element(former.positions);
    std::string positions;
    for (const std::int64_t position : former.positions) {
        positions.append(positions.empty() ? "{" : ",").append(std::to_string(position));
    }
    positions += '}';
    auto put = statement(
        "INSERT INTO {s}.checkpoints "
        "(name, position, replay_until, lease, handled_before, log, event, event_position) "
        "SELECT $2, position, $3, $4, CASE WHEN $5 THEN NULL ELSE $6::bigint[] END, $7, event, event_position "
        "FROM {s}.checkpoints WHERE name = $1 "
        "ON CONFLICT (name) DO UPDATE SET position = excluded.position, "
        "replay_until = excluded.replay_until, lease = excluded.lease, "
        "handled_before = excluded.handled_before, log = excluded.log, event = excluded.event, "
        "event_position = excluded.event_position");
    const std::string from = numbered(former.stem, static_cast<std::size_t>(lowest - former.positions.begin()));
    for (std::size_t shard = 0; shard < after_; ++shard) {
        put.run(from, numbered(former.stem, shard), former.replay_until, numbered(name_ + '/', shard), are_level,
                positions, former.log);
    }
    move_parked(former.stem);
    auto remove = statement("DELETE FROM {s}.checkpoints WHERE name = $1");
    for (std::size_t shard = after_; shard < before_; ++shard) remove.run(numbered(former.stem, shard));
}

inline void Resharding::move_parked(const std::string& stem)
{
    auto select = statement("SELECT stream FROM {s}.parked_streams WHERE projection = $1");
    auto move = statement("UPDATE {s}.parked_streams SET projection = $3 WHERE projection = $1 AND stream = $2");
    for (std::size_t shard = 0; shard < before_; ++shard) {
        const std::string from = numbered(stem, shard);
        auto rows = select.query(from);
        while (rows.next()) {
            const std::size_t to = shard_of(StreamId::parse(rows.text(0)), after_);
            if (to != shard) move.run(from, rows.text(0), numbered(stem, to));
        }
    }
}

/// @return false if it must be tried again
inline bool try_reshard(Connection& connection, const std::string& name, std::size_t shards, const std::string& schema)
{
    Transaction transaction{connection};
    Statement turn{connection, "SELECT pg_advisory_xact_lock(hashtextextended($1, 0::bigint))"};
    (void)turn.query("escqrs shards in " + schema + " of " + name);
    Statement select{connection, with_schema("SELECT shards FROM {s}.leases WHERE name = $1 || '/0'", schema)};
    auto rows = select.query(name);
    const bool is_divided = rows.next() && !rows.is_null(0);
    const std::size_t before =
        is_divided ? static_cast<std::size_t>(rows.integer(0)) : claim_shards(connection, name, shards, schema);
    if (before != shards && !Resharding{connection, name, before, shards, schema}.run()) return false;
    transaction.commit();
    return true;
}

} // namespace detail

inline void reshard(Connection& connection, const std::string& name, std::size_t shards, const std::string& schema)
{
    escqrs::detail::check_at_least(1, shards, "shards");
    detail::with_read_models(connection, schema);
    while (!detail::try_reshard(connection, name, shards, schema)) {}
}

} // namespace escqrs::inline v0::postgres
