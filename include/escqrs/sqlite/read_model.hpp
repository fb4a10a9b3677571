// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/error.hpp>
#include <escqrs/core/identifiers.hpp>
#include <escqrs/projections/read_model_schema.hpp>
#include <escqrs/sqlite/checkpoint.hpp>
#include <escqrs/sqlite/database.hpp>
#include <escqrs/sqlite/parking_lot.hpp>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace escqrs::sqlite {

using escqrs::ReadModelSchema;

/// A version of a read model, and how far it has come: the checkpoint of a `Projection` that builds it.
///
/// The first version is live at once. A later one is built beside it, from the beginning of the log, while the old one goes
/// on; every event is a replay to its handlers. Once it has come as far as the old one it takes its place: the views that
/// readers ask, the tables and both checkpoints change in one transaction, so that a reader sees the old version or the new
/// one, whole. The old version's tables go with the same transaction; whoever still builds it gets `ReadModelSuperseded`. A
/// version that is being built never gets ahead of the live one, so that each event is new to exactly one of them.
///
/// Versions share one database, and readers ask views, because only then can a switch be one transaction that needs no
/// reader to open anything again: a second file could not be renamed over a database that others have open.
/// @par Thread safety  as its database: one thread at a time
class ReadModel {
public:
    class Transaction;

    /// Creates the tables if there are none; goes on with them if there are. Versions lower than this one that were never
    /// completed are dropped.
    /// @param database  must outlive this
    /// @throws ReadModelSuperseded if this version is not there, and a higher one is
    /// @throws StoreError if a name is not made of letters, digits and underscores
    ReadModel(Database& database, ReadModelSchema schema);

    /// `text` with the version put in for each `{v}`.
    std::string sql(std::string_view text) const { return escqrs::detail::with_version(text, schema_.version); }

    unsigned version() const noexcept { return schema_.version; }

    /// Whether readers see this version.
    bool is_live();

    /// Where a projection of this version parks streams. What is parked in the live version, and so was never handled, is
    /// parked here as well, and is still to be replayed when this version has taken its place. Nothing is replayed before.
    ParkingLot parking_lot()
    {
        return ParkingLot{*database_, checkpoint_name(schema_.name, schema_.version), schema_.name};
    }

    /// The name of this version's checkpoint.
    const std::string& name() const noexcept { return checkpoint_.name(); }

    /// How far this version has come.
    GlobalPosition load() { return checkpoint_.load(); }

    /// @throws ReadModelSuperseded if a higher version has taken this one's place
    Transaction begin();

private:
    static Database& with_table(Database& database);
    static std::string checkpoint_name(const std::string& name, std::int64_t version)
    {
        return name + "_v" + std::to_string(version);
    }

    void create();
    std::optional<bool> state();
    void drop_lower_versions(bool also_live);
    void make_live();
    void inherit_parked();
    void find_live(Bookmark& mark, GlobalPosition& handled);

    Database* database_;
    ReadModelSchema schema_;
    Checkpoint checkpoint_;
    Statement select_state_{with_table(*database_),
                            "SELECT is_live FROM escqrs_read_models WHERE name = ? AND version = ?"};
    Statement select_live_{*database_,
                           "SELECT position, log, event, replay_until FROM escqrs_checkpoints WHERE name = "
                           "(SELECT name || '_v' || version FROM escqrs_read_models WHERE name = ? AND is_live)"};
};

/// A write transaction on the read model's database. Rolls back when it ends without a commit.
class ReadModel::Transaction {
public:
    GlobalPosition position() const noexcept { return transaction_.position(); }
    const Bookmark& bookmark() const noexcept { return transaction_.bookmark(); }

    /// The last event that was handled before, by this version or an earlier one; while this one is being built, all were.
    GlobalPosition replay_until() const noexcept { return is_live_ ? transaction_.replay_until() : everything; }

    /// Where the live version is: this one must not go beyond it before it takes its place.
    GlobalPosition limit() const noexcept { return limit_; }

    /// Where the live version is, and in which log.
    const Bookmark& live() const noexcept { return live_; }

    /// Makes what was written, and the position, durable together. At the limit this version becomes the live one.
    void commit(GlobalPosition position) { commit_bookmark({position, bookmark().log}); }
    void commit_bookmark(const Bookmark& mark)
    {
        if (is_live_ || mark.position < limit_) return transaction_.commit_bookmark(mark);
        model_->make_live();
        transaction_.commit_bookmark(mark, limit_);
    }

    void commit_restart(GlobalPosition handled_limit = everything) { transaction_.commit_restart(handled_limit); }

private:
    friend ReadModel;
    static constexpr GlobalPosition everything{~std::uint64_t{0}};

    explicit Transaction(ReadModel& model) : model_{&model}, transaction_{model.checkpoint_.begin()}
    {
        const auto state = model.state();
        if (!state) escqrs::detail::throw_superseded(model.schema_);
        is_live_ = *state;
        if (!is_live_) model.find_live(live_, limit_);
    }

    ReadModel* model_;
    Checkpoint::Transaction transaction_;
    bool is_live_ = false;
    Bookmark live_;
    GlobalPosition limit_ = everything;
};

/// How far the live version of a read model has come, for readers who wait: `wait_for(live, position, deadline)`.
/// @par Thread safety  as its database: one thread at a time
class LiveReadModel {
public:
    /// @param database  must outlive this; a file in which the read model has been opened
    LiveReadModel(Database& database, std::string name)
        : name_{std::move(name)},
          select_{database,
                  "SELECT version, coalesce(position, 0) FROM escqrs_read_models LEFT JOIN escqrs_checkpoints "
                  "ON escqrs_checkpoints.name = escqrs_read_models.name || '_v' || version "
                  "WHERE escqrs_read_models.name = ? AND is_live"}
    {
    }

    GlobalPosition load() { return GlobalPosition{static_cast<std::uint64_t>(column(1))}; }
    unsigned version() { return static_cast<unsigned>(column(0)); }

private:
    std::int64_t column(int index)
    {
        auto rows = select_.query(name_);
        return rows.next() ? rows.integer(index) : 0;
    }

    std::string name_;
    Statement select_;
};

inline ReadModel::ReadModel(Database& database, ReadModelSchema schema)
    : database_{&database}, schema_{std::move(schema)},
      checkpoint_{database, checkpoint_name(schema_.name, schema_.version)}
{
    escqrs::detail::check_names(schema_);
    create();
}

inline Database& ReadModel::with_table(Database& database)
{
    database.execute("CREATE TABLE IF NOT EXISTS escqrs_read_models (name TEXT NOT NULL, version INTEGER NOT NULL, "
                     "is_live INTEGER NOT NULL, tables TEXT NOT NULL, PRIMARY KEY (name, version)) WITHOUT ROWID");
    return ParkingLot::with_table(database);
}

inline void ReadModel::create()
{
    sqlite::Transaction transaction{*database_};
    Statement select_highest{*database_, "SELECT coalesce(max(version), 0) FROM escqrs_read_models WHERE name = ?"};
    std::int64_t highest = 0;
    {
        auto rows = select_highest.query(schema_.name);
        if (rows.next()) highest = rows.integer(0);
    }
    if (state()) return;
    if (highest > std::int64_t{schema_.version}) escqrs::detail::throw_superseded(schema_);

    drop_lower_versions(false);
    database_->execute(sql(schema_.sql).c_str());
    std::string tables;
    for (const std::string& table : schema_.tables) tables.append(table).append(1, ' ');
    Statement insert{*database_, "INSERT INTO escqrs_read_models VALUES (?, ?, 0, ?)"};
    insert.run(schema_.name, schema_.version, tables);
    if (highest == 0) make_live();
    transaction.commit();
}

/// Whether this version is live; nothing if it is gone.
inline std::optional<bool> ReadModel::state()
{
    auto rows = select_state_.query(schema_.name, schema_.version);
    if (!rows.next()) return std::nullopt;
    return rows.integer(0) != 0;
}

inline bool ReadModel::is_live() { return state().value_or(false); }

inline ReadModel::Transaction ReadModel::begin() { return Transaction{*this}; }

/// @param handled  set to what the live version has handled, now or before a restart
inline void ReadModel::find_live(Bookmark& mark, GlobalPosition& handled)
{
    handled = {};
    auto rows = select_live_.query(schema_.name);
    if (!rows.next()) return;
    mark = Checkpoint::bookmark_in(rows);
    handled = std::max(mark.position, GlobalPosition{static_cast<std::uint64_t>(rows.integer(3))});
}

inline void ReadModel::make_live()
{
    inherit_parked();
    drop_lower_versions(true);
    for (const std::string& table : schema_.tables) {
        database_->execute(("CREATE VIEW " + table + " AS SELECT * FROM " + sql(table + "{v}")).c_str());
    }
    Statement update{*database_, "UPDATE escqrs_read_models SET is_live = 1 WHERE name = ? AND version = ?"};
    update.run(schema_.name, schema_.version);
}

/// Of what is parked here, only that is still new to the handlers which is to the live version's: it may have been replayed
/// there in the meantime.
inline void ReadModel::inherit_parked()
{
    Statement update{*database_,
                     "UPDATE escqrs_parked_streams SET unhandled_from = coalesce((SELECT before.unhandled_from FROM "
                     "escqrs_parked_streams AS before WHERE before.stream = escqrs_parked_streams.stream AND "
                     "before.projection = (SELECT name || '_v' || version FROM escqrs_read_models WHERE name = ? AND "
                     "is_live)), 0) WHERE projection = ?"};
    update.run(schema_.name, checkpoint_name(schema_.name, schema_.version));
}

inline void ReadModel::drop_lower_versions(bool also_live)
{
    std::string drop;
    {
        Statement select{*database_,
                         "SELECT version, is_live, tables FROM escqrs_read_models WHERE name = ? AND version < ? "
                         "AND is_live <= ?"};
        auto rows = select.query(schema_.name, schema_.version, also_live);
        while (rows.next()) {
            const std::string suffix = "_v" + std::to_string(rows.integer(0));
            const std::string_view tables = rows.text(2);     // each with a space behind it
            for (std::size_t end = tables.size(); end > 0;) { // the last one first: it may refer to those before it
                const std::size_t before = end > 1 ? tables.rfind(' ', end - 2) : std::string_view::npos;
                const std::size_t begin = before == std::string_view::npos ? 0 : before + 1;
                const std::string table{tables.substr(begin, end - 1 - begin)};
                if (rows.integer(1) != 0) drop.append("DROP VIEW ").append(table).append(1, ';');
                drop.append("DROP TABLE ").append(table).append(suffix).append(1, ';');
                end = begin;
            }
        }
    }
    database_->execute(drop.c_str());
    for (const char* const table : {"escqrs_checkpoints WHERE name", "escqrs_parked_streams WHERE projection"}) {
        Statement forget{*database_,
                         std::string{"DELETE FROM "} + table +
                             " IN (SELECT name || '_v' || version FROM escqrs_read_models WHERE name = ? AND "
                             "version < ? AND is_live <= ?)"};
        forget.run(schema_.name, schema_.version, also_live);
    }
    Statement forget{*database_, "DELETE FROM escqrs_read_models WHERE name = ? AND version < ? AND is_live <= ?"};
    forget.run(schema_.name, schema_.version, also_live);
}

} // namespace escqrs::sqlite
