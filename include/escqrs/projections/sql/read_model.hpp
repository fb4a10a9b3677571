// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/error.hpp>
#include <escqrs/core/identifiers.hpp>
#include <escqrs/projections/read_model_schema.hpp>
#include <escqrs/projections/sql/checkpoint.hpp>
#include <escqrs/projections/sql/dialect.hpp>
#include <escqrs/projections/sql/parking_lot.hpp>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace escqrs::inline v0::sql {

/// A version of a read model, and how far it has come: the checkpoint of a `Projection` that builds it. In SQL texts
/// `{v}` stands for the version, with PostgreSQL `{s}` for the database schema.
///
/// The first version is live at once. A later one is built next to it, from the beginning of the log, while the old one
/// continues; every event is a replay to its handlers. Once it has come as far as the old one it takes its place: the
/// views that readers query, the tables and both checkpoints change in one transaction, so that a reader sees the old
/// version or the new one, whole. The old version's tables go with the same transaction; a program that still builds it
/// gets `ReadModelSuperseded`. A version that is being built never gets ahead of the live one, so that each event is
/// new to exactly one of them. For that their transactions take turns.
///
/// Versions share one database, and readers query views, because only then can a switch be one transaction after which
/// no reader must open anything again: a second file could not be renamed over a database that others have open.
///
/// PostgreSQL: roles that could read the old version's views can read the new one's. Other objects that depend on the
/// views prevent the switch: it fails with PostgreSQL's error. A statement that readers have prepared stays good if its
/// columns do.
/// @par Thread safety  as its database: one thread at a time
template <class Dialect>
class ReadModel {
public:
    class Transaction;

    /// Creates the tables if there are none; continues with them if there are. Versions lower than this one that were
    /// never completed are dropped.
    /// @param database  must outlive this; PostgreSQL: of a role that may create tables in the schema, and owns the
    ///                  lower versions
    /// @param owner     PostgreSQL: the schema; or a lease, in its schema, whose holder alone can build this version
    /// @throws ReadModelSuperseded if this version is not there, and a higher one is
    /// @throws InvalidOption if a name is not made of letters, digits and underscores
    ReadModel(typename Dialect::Database& database, ReadModelSchema schema, const typename Dialect::Owner& owner = {})
        : dialect_{Dialect{database, owner}.with(Tables::read_models)}, schema_{std::move(schema)},
          checkpoint_{database, created(), owner}
    {
        static_assert(sql::Dialect<Dialect>);
    }

    /// `text` with the version in place of each `{v}`, and the database schema in place of each `{s}`.
    std::string sql(std::string_view text) const
    {
        return dialect_.users_text(escqrs::detail::with_version(text, schema_.version));
    }

    unsigned version() const noexcept { return schema_.version; } ///< as given

    /// Whether readers see this version.
    bool is_live() { return state().value_or(false); }

    /// The parking lot of a projection of this version. Events that the live version has parked are parked here, too.
    /// `replay` handles them once this version is live; before, it does nothing.
    ParkingLot<Dialect> parking_lot() { return ParkingLot<Dialect>{schema_.name, dialect_, checkpoint_name()}; }

    /// The name of this version's checkpoint.
    const std::string& name() const noexcept { return checkpoint_.name(); }

    /// How far this version has come.
    GlobalPosition load() { return checkpoint_.load(); }

    /// @throws ReadModelSuperseded if a higher version has taken this one's place
    Transaction begin() { return Transaction{*this}; }

private:
    using Statement = typename Dialect::Statement;
    using CheckpointRow = typename Dialect::CheckpointRow;

    /// The versions that this one replaces.
    static constexpr const char* lower = "name = $1 AND version < $2 AND (NOT is_live OR $3)";

    std::string checkpoint_name() const { return detail::checkpoint_name(schema_.name, schema_.version); }
    Statement statement(const std::string& text) const { return sql::statement(dialect_, text); }

    std::string created();
    std::optional<bool> state();
    void make_live();
    void inherit_parked();
    void drop_lower_versions(bool also_live);
    void find_live(Bookmark& mark, GlobalPosition& handled);

    Dialect dialect_;
    ReadModelSchema schema_;
    typename Dialect::Turns turns_{dialect_};
    Statement select_state_{statement("SELECT is_live FROM {s}.read_models WHERE name = $1 AND version = $2")};
    Statement select_live_{statement(std::string{"SELECT replay_until, "} + CheckpointRow::bookmark_columns +
                                     " FROM {s}.checkpoints WHERE name = " + detail::live_checkpoint)};
    Checkpoint<Dialect> checkpoint_;
};

/// A transaction on the read model's database. Rolls back when it ends without a commit.
template <class Dialect>
class ReadModel<Dialect>::Transaction {
public:
    /// How far this version had come when the transaction began.
    GlobalPosition position() const noexcept { return transaction_.position(); }
    /// The same, with the log if it is known.
    const Bookmark& bookmark() const noexcept { return transaction_.bookmark(); }

    /// The last event that was handled before, by this version or an earlier one; while this one is being built, all
    /// were.
    GlobalPosition replay_until() const noexcept { return is_live_ ? transaction_.replay_until() : everything; }

    /// Position of the live version: this one must not go beyond it before it takes its place.
    GlobalPosition limit() const noexcept { return limit_; }

    /// Position of the live version, and its log.
    const Bookmark& live() const noexcept { return live_; }

    /// Makes what was written, and the position, durable together. At the limit this version becomes the live one.
    /// @throws postgres::LeaseLost if there is a lease, and another holder has it by now
    void commit(GlobalPosition position) { commit_bookmark({position, bookmark().log}); }
    /// As `commit`, with the log and the event there.
    void commit_bookmark(const Bookmark& mark)
    {
        if (is_live_ || mark.position < limit_) return transaction_.commit_bookmark(mark);
        model_->make_live();
        transaction_.commit_bookmark(mark, limit_);
    }

    /// Makes durable what was written, at position 0. What was reached before counts as handled, up to `handled_limit`.
    void commit_restart(GlobalPosition handled_limit = everything) { transaction_.commit_restart(handled_limit); }

private:
    friend ReadModel;
    static constexpr GlobalPosition everything{~std::uint64_t{0}};

    explicit Transaction(ReadModel& model)
        : model_{&model}, transaction_{model.checkpoint_.begin([&] { model.turns_.take(model.schema_.name); })}
    {
        const auto state = model.state();
        if (!state) escqrs::detail::throw_superseded(model.schema_);
        is_live_ = *state;
        if (!is_live_) model.find_live(live_, limit_);
    }

    ReadModel* model_;
    typename Checkpoint<Dialect>::Transaction transaction_;
    bool is_live_ = false;
    Bookmark live_;
    GlobalPosition limit_ = everything;
};

/// How far the live version of a read model has come, for waiting readers: `wait_for(live, position, deadline)`.
/// @par Thread safety  as its database: one thread at a time
template <class Dialect>
class LiveReadModel {
public:
    /// @param database  must outlive this; the read model has been opened in it
    /// @param place     PostgreSQL: the schema
    LiveReadModel(typename Dialect::Database& database, std::string name, const typename Dialect::Place& place = {})
        : name_{std::move(name)},
          select_{sql::statement(
              Dialect{database, place},
              "SELECT version, coalesce(position, 0) FROM {s}.read_models AS model LEFT JOIN {s}.checkpoints AS "
              "checkpoint ON checkpoint.name = model.name || '_v' || CAST(version AS text) "
              "WHERE model.name = $1 AND is_live")}
    {
    }

    GlobalPosition load() { return GlobalPosition{static_cast<std::uint64_t>(column(1))}; } ///< 0 if no version is live
    unsigned version() { return static_cast<unsigned>(column(0)); }                         ///< 0 if no version is live

private:
    std::int64_t column(int index)
    {
        auto rows = select_.query(name_);
        return rows.next() ? rows.integer(index) : 0;
    }

    std::string name_;
    typename Dialect::Statement select_;
};

/// Makes sure that this version is there.
/// @return the name of its checkpoint
template <class Dialect>
std::string ReadModel<Dialect>::created()
{
    escqrs::detail::check_names(schema_);
    typename Dialect::Transaction transaction{dialect_.database()};
    turns_.take(schema_.name);
    if (state()) return checkpoint_name();
    const std::int64_t highest = [&] {
        auto select = statement("SELECT coalesce(max(version), 0) FROM {s}.read_models WHERE name = $1");
        auto rows = select.query(schema_.name);
        return rows.next() ? rows.integer(0) : 0;
    }();
    if (highest > std::int64_t{schema_.version}) escqrs::detail::throw_superseded(schema_);

    drop_lower_versions(false);
    dialect_.database().execute(sql(schema_.sql));
    std::string tables;
    for (const std::string& table : schema_.tables) tables.append(table).append(1, ' ');
    statement("INSERT INTO {s}.read_models VALUES ($1, $2, false, $3)").run(schema_.name, schema_.version, tables);
    if (highest == 0) make_live();
    transaction.commit();
    return checkpoint_name();
}

/// True if this version is live; nothing if it is gone.
template <class Dialect>
std::optional<bool> ReadModel<Dialect>::state()
{
    auto rows = select_state_.query(schema_.name, schema_.version);
    if (!rows.next()) return std::nullopt;
    return rows.integer(0) != 0;
}

/// @param handled  set to what the live version has handled, now or before a restart
template <class Dialect>
void ReadModel<Dialect>::find_live(Bookmark& mark, GlobalPosition& handled)
{
    handled = {};
    auto rows = select_live_.query(schema_.name);
    if (!rows.next()) return;
    mark = CheckpointRow::bookmark_in(rows, 1);
    handled = std::max(mark.position, GlobalPosition{static_cast<std::uint64_t>(rows.integer(0))});
}

template <class Dialect>
void ReadModel<Dialect>::make_live()
{
    inherit_parked();
    const std::string grants_before = dialect_.grants(schema_.tables);
    drop_lower_versions(true);
    for (const std::string& table : schema_.tables) {
        const std::string name = dialect_.users_table(table);
        std::string create{"CREATE VIEW "};
        create.append(name).append(" AS SELECT * FROM ").append(name).append("{v}");
        dialect_.database().execute(sql(create));
    }
    if (!grants_before.empty()) dialect_.database().execute(grants_before);
    statement("UPDATE {s}.read_models SET is_live = true WHERE name = $1 AND version = $2")
        .run(schema_.name, schema_.version);
}

/// Of what is parked here, only what is new to the live version's handlers is still new here: it may have been replayed
/// there in the meantime.
template <class Dialect>
void ReadModel<Dialect>::inherit_parked()
{
    statement(std::string{"UPDATE {s}.parked_streams AS mine SET unhandled_from = coalesce((SELECT "
                          "before.unhandled_from FROM {s}.parked_streams AS before WHERE before.stream = mine.stream "
                          "AND before.projection = "} +
              detail::live_checkpoint + "), 0) WHERE projection = $2")
        .run(schema_.name, checkpoint_name());
}

template <class Dialect>
void ReadModel<Dialect>::drop_lower_versions(bool also_live)
{
    std::string drop;
    {
        auto select = statement(std::string{"SELECT version, is_live, tables FROM {s}.read_models WHERE "} + lower);
        auto rows = select.query(schema_.name, schema_.version, also_live);
        while (rows.next()) {
            std::vector<std::string> tables;
            std::string_view names = rows.text(2); // each with a space after it
            for (std::size_t end = 0; (end = names.find(' ')) != std::string_view::npos; names.remove_prefix(end + 1)) {
                tables.emplace_back(names.substr(0, end));
            }
            if (tables.empty()) continue;
            drop += dialect_.drop(tables, "_v" + std::to_string(rows.integer(0)), rows.integer(1) != 0);
        }
    }
    if (!drop.empty()) dialect_.database().execute(drop);
    for (const char* const table : {"checkpoints WHERE name", "parked_streams WHERE projection"}) {
        statement(std::string{"DELETE FROM {s}."} + table +
                  " IN (SELECT name || '_v' || CAST(version AS text) FROM {s}.read_models WHERE " + lower + ')')
            .run(schema_.name, schema_.version, also_live);
    }
    statement(std::string{"DELETE FROM {s}.read_models WHERE "} + lower).run(schema_.name, schema_.version, also_live);
}

} // namespace escqrs::inline v0::sql
