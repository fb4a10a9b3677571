// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/bookmark.hpp>
#include <escqrs/core/identifiers.hpp>
#include <escqrs/projections/advance.hpp>
#include <escqrs/projections/sql/dialect.hpp>
#include <escqrs/sqlite/database.hpp>
#include <escqrs/sqlite/detail/read_model_tables.hpp>
#include <escqrs/sqlite/statement.hpp>
#include <escqrs/sqlite/transaction.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace escqrs::inline v0::sqlite {

/// Keeps the read side (`escqrs::sql`) in an SQLite file: in tables whose names begin with `escqrs_`. A write
/// transaction keeps all other writers out, so no other lock is needed.
class Dialect {
public:
    /// As `sql::Dialect` describes it.
    /// @{
    using Database = sqlite::Database;
    using Statement = sqlite::Statement;
    using Rows = sqlite::Rows;
    using Transaction = sqlite::Transaction;
    using Savepoint = sqlite::Savepoint;
    /// @}

    /// A file has no places to choose from.
    struct Place {};
    using Owner = Place; ///< no leases: one writer at a time

    class CheckpointRow;
    class StreamVersions;

    /// Nothing to wait for: a write transaction excludes other versions.
    struct Turns {
        explicit Turns(const Dialect&) {} ///< keeps nothing
        void take(const std::string&) {}  ///< does nothing
    };

    /// @param database  must outlive this
    Dialect(Database& database, Place = {}) noexcept : database_{&database} {} // NOLINT(google-explicit-constructor)

    /// As `sql::Dialect` describes it.
    /// @{
    Database& database() const noexcept { return *database_; }

    const Dialect& with(sql::Tables tables) const
    {
        detail::create_read_model_tables(*database_, tables);
        return *this;
    }

    static std::string text(std::string_view sql)
    {
        constexpr std::string_view mark = "{s}.";
        std::string result;
        for (std::size_t found = 0; (found = sql.find(mark)) != std::string_view::npos;) {
            result.append(sql.substr(0, found)).append("escqrs_");
            sql.remove_prefix(found + mark.size());
        }
        return result.append(sql);
    }
    static std::string users_text(std::string_view sql) { return std::string{sql}; }
    static std::string users_table(const std::string& name) { return name; }

    static std::string drop(const std::vector<std::string>& tables, const std::string& suffix, bool views)
    {
        std::string sql;
        // The last one first: it may refer to earlier ones.
        for (auto table = tables.rbegin(); table != tables.rend(); ++table) { // NOLINT(modernize-loop-convert)
            if (views) sql.append("DROP VIEW ").append(*table).append(1, ';');
            sql.append("DROP TABLE ").append(*table).append(suffix).append(1, ';');
        }
        return sql;
    }

    static std::string grants(const std::vector<std::string>&) { return {}; }
    static std::string_view storable(std::string_view text) noexcept { return text; }
    /// @}

private:
    Database* database_;
};

/// A checkpoint's row, which a write transaction keeps for itself.
class Dialect::CheckpointRow {
public:
    using State = sql::CheckpointState; ///< nothing is added to it

    /// Saving alone is one statement.
    static constexpr bool needs_transaction = false;
    static constexpr const char* bookmark_columns = "position, log, event"; ///< of an SQL query

    /// Creates the table if there is none; not the row, which the first `write` creates.
    CheckpointRow(const Dialect& dialect, std::string name, Place)
        : name_{std::move(name)}, select_{dialect.with(sql::Tables::checkpoints).database(),
                                          "SELECT position, log, event, replay_until FROM escqrs_checkpoints "
                                          "WHERE name = ?"},
          upsert_{dialect.database(),
                  "INSERT INTO escqrs_checkpoints VALUES (?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET position = "
                  "excluded.position, replay_until = excluded.replay_until, log = excluded.log, event = excluded.event"}
    {
    }

    const std::string& name() const noexcept { return name_; } ///< of the checkpoint
    void prepare() {}                                          ///< does nothing
    State lock() { return read(); }                            ///< the same as `read`: the transaction is the lock
    /// Zeros and nil ids if there is no row.
    State read()
    {
        auto rows = select_.query(name_);
        if (!rows.next()) return {};
        return {bookmark_in(rows, 0), GlobalPosition{static_cast<std::uint64_t>(rows.integer(3))}};
    }
    /// Inserts or replaces the row.
    void write(const State& state)
    {
        const auto text_of = [](const auto& id) { return id.is_nil() ? std::string{} : to_string(id); };
        upsert_.run(name_, state.mark.position.value(), state.replay_until.value(), text_of(state.mark.log),
                    text_of(state.mark.event));
    }

    /// Of the `bookmark_columns`, from `first` on.
    static Bookmark bookmark_in(const Rows& rows, int first)
    {
        const std::string_view log = rows.text(first + 1);
        const std::string_view event = rows.text(first + 2);
        return {GlobalPosition{static_cast<std::uint64_t>(rows.integer(first))},
                log.empty() ? LogId{} : LogId::parse(log), event.empty() ? EventId{} : EventId::parse(event)};
    }

private:
    std::string name_;
    Statement select_;
    Statement upsert_;
};

/// The versions of streams, one row each.
class Dialect::StreamVersions {
public:
    /// Its connection is the dialect's, which must outlive it.
    explicit StreamVersions(const Dialect& dialect)
        : insert_{dialect.database(), "INSERT INTO escqrs_stream_checkpoints VALUES (?, ?, 1) ON CONFLICT DO NOTHING"},
          update_{dialect.database(), "UPDATE escqrs_stream_checkpoints SET version = ?1 "
                                      "WHERE projection = ?2 AND stream = ?3 AND version = ?1 - 1"}
    {
    }

    /// Moves the stream on to `version` if that is the next one; only if not, `version_of` reads the last one.
    /// @return what to do with the event
    template <class VersionOf>
    Advance advance(const std::string& projection, const StreamId& stream, StreamVersion version, VersionOf version_of)
    {
        if (version == StreamVersion{}) return Advance::duplicate;
        // An event in its turn takes one statement.
        const int changed = version == StreamVersion{1} ? insert_.run(projection, stream.text())
                                                        : update_.run(version.value(), projection, stream.text());
        if (changed == 1) return Advance::apply;
        return version <= version_of() ? Advance::duplicate : Advance::gap;
    }

private:
    Statement insert_;
    Statement update_;
};

} // namespace escqrs::inline v0::sqlite
