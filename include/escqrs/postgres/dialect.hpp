// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/bookmark.hpp>
#include <escqrs/core/identifiers.hpp>
#include <escqrs/core/text.hpp>
#include <escqrs/postgres/connection.hpp>
#include <escqrs/postgres/lease.hpp>
#include <escqrs/postgres/read_model_schema.hpp>
#include <escqrs/postgres/schema.hpp>
#include <escqrs/postgres/shard.hpp>
#include <escqrs/postgres/statement.hpp>
#include <escqrs/projections/advance.hpp>
#include <escqrs/projections/sql/dialect.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace escqrs::inline v0::postgres {

/// Keeps the read side (`escqrs::sql`) in a PostgreSQL database: in a schema's tables. Checkpoints are locked by their
/// rows; streams, and read models whose versions take turns, by advisory locks.
class Dialect {
public:
    /// As `sql::Dialect` describes it.
    /// @{
    using Database = Connection;
    using Statement = postgres::Statement;
    using Rows = postgres::Rows;
    using Transaction = postgres::Transaction;
    using Savepoint = postgres::Savepoint;
    /// @}

    /// The schema that the tables are in.
    struct Place {
        Place() : Place{"escqrs"} {}
        /// The schema of this name, in the letter case given.
        Place(std::string name) : schema{std::move(name)} {} // NOLINT(google-explicit-constructor)
        /// The same.
        Place(const char* name) : schema{name} {} // NOLINT(google-explicit-constructor)

        std::string schema; ///< its name
    };

    /// The same, or the lease without which a checkpoint cannot be moved, with its schema.
    struct Owner : Place {
        /// A schema alone: no lease is needed.
        using Place::Place;
        /// The lease and its schema; `given` must outlive the checkpoint.
        Owner(const Lease& given) // NOLINT(google-explicit-constructor)
            : Place{given.options().schema}, lease{&given}
        {
        }

        const Lease* lease = nullptr; ///< null: none is needed
    };

    class CheckpointRow;
    class StreamVersions;
    class Turns;

    /// @param connection  must outlive this
    // An owner of a checkpoint is a place as well, so the place is no copy. NOLINTNEXTLINE(*-pass-by-value,google-explicit-*)
    Dialect(Connection& connection, const Place& place = {}) : connection_{&connection}, place_{place} {}

    /// As `sql::Dialect` describes it.
    /// @{
    Connection& database() const noexcept { return *connection_; }

    /// All of them have one version.
    const Dialect& with(sql::Tables) const
    {
        detail::with_read_models(*connection_, place_.schema);
        return *this;
    }

    std::string text(std::string_view sql) const { return with_schema(sql, place_.schema); }
    std::string users_text(std::string_view sql) const { return text(sql); }
    static std::string users_table(const std::string& name) { return "{s}." + name; }
    std::string drop(const std::vector<std::string>& tables, const std::string& suffix, bool views) const;
    std::string grants(const std::vector<std::string>& tables) const;
    static std::string storable(std::string_view text);
    /// @}

private:
    Connection* connection_;
    Place place_;
};

/// A checkpoint's row, locked by `lock` until the transaction ends.
class Dialect::CheckpointRow {
public:
    /// What the row holds; after `postgres::reshard` also the positions of the former shards.
    struct State : sql::CheckpointState {
        std::vector<std::int64_t> handled_before; ///< position of each former shard

        /// Whether some of the former positions are not passed yet.
        bool is_taking_over() const noexcept { return !handled_before.empty(); }
        /// The position of the former shard of `stream`; 0 if there is none.
        GlobalPosition handled_until(const StreamId& stream) const noexcept
        {
            if (!is_taking_over()) return {};
            const auto position = handled_before[shard_of(stream, handled_before.size())];
            return GlobalPosition{static_cast<std::uint64_t>(position)};
        }
        /// The greatest of the former positions. Call it only while `is_taking_over()`.
        GlobalPosition taken_over_at() const
        {
            return GlobalPosition{static_cast<std::uint64_t>(*std::ranges::max_element(handled_before))};
        }
    };

    /// The row and the lease are read before they are written.
    static constexpr bool needs_transaction = true;
    static constexpr const char* bookmark_columns = "position, log, event, event_position"; ///< of an SQL query

    /// Creates the row if there is none.
    CheckpointRow(const Dialect& dialect, std::string name, const Owner& owner);

    const std::string& name() const noexcept { return name_; } ///< of the checkpoint

    /// Makes the server end the transaction of a process that was paused within it, so that it holds up no successor.
    void prepare()
    {
        if (lease_ == nullptr) return;
        constexpr Duration longest = std::chrono::milliseconds{std::numeric_limits<std::int32_t>::max()};
        const auto limit = std::chrono::ceil<std::chrono::milliseconds>(std::min(lease_->options().duration, longest));
        connection_->execute("SET LOCAL idle_in_transaction_session_timeout = " + std::to_string(limit.count()));
    }

    State read() { return read(select_); } ///< without a lock
    State lock() { return read(lock_); }   ///< until the transaction ends

    /// @throws LeaseLost if there is a lease, and another holder has it by now; no other can take it before the
    ///         transaction ends
    void write(const State& state)
    {
        update_.run(name_, state.mark.position.value(), state.replay_until.value(), state.mark.log, state.mark.event);
        if (state.is_taking_over() && state.mark.position >= state.taken_over_at()) forget_former_.run(name_);
        if (lease_ == nullptr) return;
        // A server that took over without the last changes may give out a token twice.
        auto rows = hold_lease_.query(lease_->name(), lease_->options().holder, lease_->token());
        if (!rows.next()) throw LeaseLost{lease_->name(), lease_->token()};
    }

    /// @throws StoreError while it is taking over: some streams were handled further than others
    void check_restart(const State& state) const
    {
        if (!state.is_taking_over()) return;
        throw StoreError{"checkpoint '" + name_ + "': cannot be restarted before position " +
                         std::to_string(state.taken_over_at().value()) +
                         ", where the furthest shard stood before; it is at " +
                         std::to_string(state.mark.position.value())};
    }

    /// Of the `bookmark_columns`, from `first` on. A program that does not know logs moves the position alone.
    static Bookmark bookmark_in(const Rows& rows, int first)
    {
        const bool is_at_event = rows.integer(first) == rows.integer(first + 3);
        return {GlobalPosition{static_cast<std::uint64_t>(rows.integer(first))}, LogId{rows.uuid(first + 1)},
                is_at_event ? EventId{rows.uuid(first + 2)} : EventId{}};
    }

private:
    static constexpr const char* select_sql =
        "SELECT position, log, event, event_position, replay_until, handled_before FROM {s}.checkpoints "
        "WHERE name = $1";

    State read(Statement& select)
    {
        auto rows = select.query(name_);
        if (!rows.next()) return {};
        return {{bookmark_in(rows, 0), GlobalPosition{static_cast<std::uint64_t>(rows.integer(4))}}, rows.integers(5)};
    }
    void create(const Dialect& dialect);

    Connection* connection_;
    std::string name_;
    const Lease* lease_;
    Statement select_;
    Statement lock_;
    Statement update_;
    Statement forget_former_;
    Statement hold_lease_;
};

inline Dialect::CheckpointRow::CheckpointRow(const Dialect& dialect, std::string name, const Owner& owner)
    : connection_{&dialect.with(sql::Tables::checkpoints).database()}, name_{std::move(name)}, lease_{owner.lease},
      select_{*connection_, dialect.text(select_sql)},
      lock_{*connection_, dialect.text(std::string{select_sql} + " FOR UPDATE")},
      update_{*connection_, dialect.text("UPDATE {s}.checkpoints SET position = $2, replay_until = $3, log = $4, "
                                         "event = $5, event_position = $2 WHERE name = $1")},
      forget_former_{*connection_, dialect.text("UPDATE {s}.checkpoints SET handled_before = NULL WHERE name = $1")},
      hold_lease_{*connection_, dialect.text("SELECT 1 FROM {s}.leases WHERE name = $1 AND holder = $2 AND token = $3 "
                                             "FOR SHARE")}
{
    create(dialect);
}

/// Makes sure that there is a row, and that it has the lease.
inline void Dialect::CheckpointRow::create(const Dialect& dialect)
{
    const auto statement = [&](std::string_view sql) { return sql::statement(dialect, sql); };
    statement("INSERT INTO {s}.checkpoints (name, position, replay_until) VALUES ($1, 0, 0) ON CONFLICT DO NOTHING")
        .run(name_);
    if (lease_ == nullptr) return;
    // Not if it is the checkpoint of another shard of the same name.
    statement("UPDATE {s}.checkpoints SET lease = $2 WHERE name = $1 AND (lease IS NULL OR lease <> $2 AND NOT ($3 AND "
              "regexp_replace(lease, '/[0-9]+$', '') = regexp_replace($2, '/[0-9]+$', '')))")
        .run(name_, lease_->name(), lease_->shards_ != 0);
    auto rows = statement("SELECT lease FROM {s}.checkpoints WHERE name = $1").query(name_);
    if (!rows.next() || rows.text(0) == lease_->name()) return;
    throw StoreError{"checkpoint '" + name_ + "': expected one of its own for shard '" + lease_->name() +
                     "', found that of shard '" + std::string{rows.text(0)} + '\''};
}

/// The versions of streams, one row each. A stream's changes wait for each other.
class Dialect::StreamVersions {
public:
    /// Its connection is the dialect's, which must outlive it.
    explicit StreamVersions(const Dialect& dialect)
        : lock_{dialect.database(),
                dialect.text("SELECT pg_advisory_xact_lock('{s}.stream_checkpoints'::regclass::oid::bigint::bit(32)"
                             "::integer, hashtext($1 || $2))")},
          upsert_{
              dialect.database(),
              dialect.text("INSERT INTO {s}.stream_checkpoints VALUES ($1, $2, $3) ON CONFLICT (projection, stream) "
                           "DO UPDATE SET version = excluded.version")}
    {
    }

    /// Moves the stream on to `version` if that is the next one. `version_of` reads the last one, under the lock.
    /// @return what to do with the event
    template <class VersionOf>
    Advance advance(const std::string& projection, const StreamId& stream, StreamVersion version, VersionOf version_of)
    {
        (void)lock_.query(projection, stream.text());
        const StreamVersion last = version_of();
        if (version <= last) return Advance::duplicate;
        if (version != last.next()) return Advance::gap;
        upsert_.run(projection, stream.text(), version.value());
        return Advance::apply;
    }

private:
    Statement lock_;
    Statement upsert_;
};

/// Keeps the versions of a read model from being in transactions at one time.
class Dialect::Turns {
public:
    /// Its connection is the dialect's, which must outlive it.
    explicit Turns(const Dialect& dialect)
        : lock_{dialect.database(), dialect.text("SELECT pg_advisory_xact_lock('{s}.read_models'::regclass::oid::bigint"
                                                 "::bit(32)::integer, hashtext($1))")}
    {
    }
    /// Waits for the turn of read model `name`, and has it until the transaction ends.
    void take(const std::string& name) { (void)lock_.query(name); }

private:
    Statement lock_;
};

inline std::string Dialect::drop(const std::vector<std::string>& tables, const std::string& suffix, bool views) const
{
    const auto list = [&](const std::string& ending) {
        std::string text;
        for (const std::string& table : tables) text.append(text.empty() ? "{s}." : ", {s}.").append(table + ending);
        return text;
    };
    return text((views ? "DROP VIEW " + list("") + ';' : "") + "DROP TABLE " + list(suffix) + ';');
}

inline std::string Dialect::grants(const std::vector<std::string>& tables) const
{
    std::string result;
    Statement select{*connection_,
                     "SELECT pg_catalog.format('GRANT %s ON %s TO %s', given.privilege_type, view.oid::regclass, "
                     "CASE given.grantee WHEN 0::oid THEN 'PUBLIC' ELSE given.grantee::regrole::text END) "
                     "FROM pg_class AS view, aclexplode(view.relacl) AS given "
                     "WHERE view.oid = to_regclass($1) AND given.grantee <> view.relowner"};
    for (const std::string& table : tables) {
        auto rows = select.query(text(users_table(table)));
        while (rows.next()) result.append(rows.text(0)).append(1, ';');
    }
    return result;
}

/// What PostgreSQL takes as a text: UTF-8 without NUL.
inline std::string Dialect::storable(std::string_view text)
{
    std::string result;
    while (!text.empty()) {
        const std::size_t length = archive::detail::utf8_sequence_length(text);
        if (length == 0 || text.front() == '\0') result += '?';
        else result += text.substr(0, length);
        text.remove_prefix(std::max<std::size_t>(length, 1));
    }
    return result;
}

} // namespace escqrs::inline v0::postgres
