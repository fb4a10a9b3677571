// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/error.hpp>
#include <escqrs/core/identifiers.hpp>
#include <escqrs/postgres/checkpoint.hpp>
#include <escqrs/postgres/connection.hpp>
#include <escqrs/postgres/lease.hpp>
#include <escqrs/postgres/parking_lot.hpp>
#include <escqrs/postgres/read_model_schema.hpp>
#include <escqrs/postgres/statement.hpp>
#include <escqrs/projections/read_model_schema.hpp>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace escqrs::postgres {

using escqrs::ReadModelSchema;

/// A version of a read model, and how far it has come: the checkpoint of a `Projection` that builds it. In SQL texts `{s}` stands
/// for the database schema, `{v}` for the version.
///
/// The first version is live at once. A later one is built beside it, from the beginning of the log, while the old one goes
/// on; every event is a replay to its handlers. Once it has come as far as the old one it takes its place: the views that
/// readers ask, the tables and both checkpoints change in one transaction. The old version's tables go with the same
/// transaction; whoever still builds it gets `ReadModelSuperseded`. A version that is being built never gets ahead of the live
/// one, so that each event is new to exactly one of them. For that their transactions take turns.
///
/// Who could read the old version's views can read the new one's. Other objects that depend on the views keep the switch from
/// happening: it fails with PostgreSQL's error. A statement that readers have prepared stays good if its columns do.
/// @par Thread safety  as its connection: one thread at a time
class ReadModel {
public:
    class Transaction;

    /// Creates the tables if there are none; goes on with them if there are. Versions lower than this one that were never
    /// completed are dropped.
    /// @param connection  must outlive this; of a role that may create tables in `place`, and owns the lower versions
    /// @param place       the database schema
    /// @throws ReadModelSuperseded if this version is not there, and a higher one is
    /// @throws StoreError if a name is not made of letters, digits and underscores
    ReadModel(Connection& connection, ReadModelSchema schema, const std::string& place = "escqrs")
        : connection_{&detail::with_read_models(connection, place)}, schema_{std::move(schema)}, place_{place},
          checkpoint_{connection, created(), place}
    {
    }

    /// One that only the holder of `lease` can build; in the lease's schema.
    ReadModel(Connection& connection, ReadModelSchema schema, const Lease& lease)
        : connection_{&detail::with_read_models(connection, lease.options().schema)}, schema_{std::move(schema)},
          place_{lease.options().schema}, checkpoint_{connection, created(), lease}
    {
    }

    /// `text` with the version put in for each `{v}`, and the database schema for each `{s}`.
    std::string sql(std::string_view text) const
    {
        return with_schema(escqrs::detail::with_version(text, schema_.version), place_);
    }

    unsigned version() const noexcept { return schema_.version; }

    /// Whether readers see this version.
    bool is_live() { return state().value_or(false); }

    /// Where a projection of this version parks streams. What is parked in the live version, and so was never handled, is
    /// parked here as well, and is still to be replayed when this version has taken its place. Nothing is replayed before.
    ParkingLot parking_lot() { return ParkingLot{*connection_, checkpoint_name(), place_, schema_.name}; }

    /// The name of this version's checkpoint.
    const std::string& name() const noexcept { return checkpoint_.name(); }

    /// How far this version has come.
    GlobalPosition load() { return checkpoint_.load(); }

    /// @throws ReadModelSuperseded if a higher version has taken this one's place
    Transaction begin();

private:
    std::string checkpoint_name() const { return schema_.name + "_v" + std::to_string(schema_.version); }
    Statement statement(std::string_view text) const { return Statement{*connection_, with_schema(text, place_)}; }

    std::string created();
    void take_turn();
    std::optional<bool> state();
    void make_live();
    void inherit_parked();
    std::string grants();
    void drop_lower_versions(bool also_live);
    void find_live(Bookmark& mark, GlobalPosition& handled);

    Connection* connection_;
    ReadModelSchema schema_;
    std::string place_;
    Statement turn_{
        statement("SELECT pg_advisory_xact_lock('{s}.read_models'::regclass::oid::bigint::bit(32)::integer, "
                  "hashtext($1))")};
    Statement select_state_{statement("SELECT is_live FROM {s}.read_models WHERE name = $1 AND version = $2")};
    Statement select_live_{
        statement("SELECT position, log, event, event_position, replay_until FROM {s}.checkpoints WHERE name = "
                  "(SELECT name || '_v' || version::text FROM {s}.read_models WHERE name = $1 AND is_live)")};
    Checkpoint checkpoint_;
};

/// A transaction on the read model's database. Rolls back when it ends without a commit.
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
    /// @throws LeaseLost if there is a lease, and another holder has it by now
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

    explicit Transaction(ReadModel& model)
        : model_{&model}, transaction_{model.checkpoint_.begin([&] { model.take_turn(); })}
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
/// @par Thread safety  as its connection: one thread at a time
class LiveReadModel {
public:
    /// @param connection  must outlive this; of a database in which the read model has been opened
    /// @param place       the database schema
    LiveReadModel(Connection& connection, std::string name, const std::string& place = "escqrs")
        : name_{std::move(name)},
          select_{connection, with_schema("SELECT version, coalesce(position, 0) FROM {s}.read_models AS model "
                                          "LEFT JOIN {s}.checkpoints AS checkpoint "
                                          "ON checkpoint.name = model.name || '_v' || version::text "
                                          "WHERE model.name = $1 AND is_live",
                                          place)}
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

/// Sees to it that this version is there.
/// @return the name of its checkpoint
inline std::string ReadModel::created()
{
    escqrs::detail::check_names(schema_);
    postgres::Transaction transaction{*connection_};
    take_turn();
    if (state()) return checkpoint_name();
    auto rows = statement("SELECT coalesce(max(version), 0) FROM {s}.read_models WHERE name = $1").query(schema_.name);
    const std::int64_t highest = rows.next() ? rows.integer(0) : 0;
    if (highest > std::int64_t{schema_.version}) escqrs::detail::throw_superseded(schema_);

    drop_lower_versions(false);
    connection_->execute(sql(schema_.sql));
    std::string tables;
    for (const std::string& table : schema_.tables) tables.append(table).append(1, ' ');
    statement("INSERT INTO {s}.read_models VALUES ($1, $2, false, $3)").run(schema_.name, schema_.version, tables);
    if (highest == 0) make_live();
    transaction.commit();
    return checkpoint_name();
}

/// Waits until no other version is in a transaction.
inline void ReadModel::take_turn() { (void)turn_.query(schema_.name); }

/// Whether this version is live; nothing if it is gone.
inline std::optional<bool> ReadModel::state()
{
    auto rows = select_state_.query(schema_.name, schema_.version);
    if (!rows.next()) return std::nullopt;
    return rows.integer(0) != 0;
}

inline ReadModel::Transaction ReadModel::begin() { return Transaction{*this}; }

/// @param handled  set to what the live version has handled, now or before a restart
inline void ReadModel::find_live(Bookmark& mark, GlobalPosition& handled)
{
    handled = {};
    auto rows = select_live_.query(schema_.name);
    if (!rows.next()) return;
    mark = Checkpoint::bookmark_in(rows);
    handled = std::max(mark.position, GlobalPosition{static_cast<std::uint64_t>(rows.integer(4))});
}

inline void ReadModel::make_live()
{
    inherit_parked();
    const std::string grants_before = grants();
    drop_lower_versions(true);
    for (const std::string& table : schema_.tables) {
        std::string create{"CREATE VIEW {s}."};
        create.append(table).append(" AS SELECT * FROM {s}.").append(table).append("{v}");
        connection_->execute(sql(create));
    }
    if (!grants_before.empty()) connection_->execute(grants_before);
    statement("UPDATE {s}.read_models SET is_live = true WHERE name = $1 AND version = $2")
        .run(schema_.name, schema_.version);
}

/// Of what is parked here, only that is still new to the handlers which is to the live version's: it may have been replayed
/// there in the meantime.
inline void ReadModel::inherit_parked()
{
    statement("UPDATE {s}.parked_streams AS mine SET unhandled_from = coalesce((SELECT before.unhandled_from FROM "
              "{s}.parked_streams AS before WHERE before.stream = mine.stream AND before.projection = (SELECT name || "
              "'_v' || version::text FROM {s}.read_models WHERE name = $1 AND is_live)), 0) WHERE projection = $2")
        .run(schema_.name, checkpoint_name());
}

/// The rights that others have to the views, as statements that give them anew.
inline std::string ReadModel::grants()
{
    std::string result;
    for (const std::string& table : schema_.tables) {
        auto rows =
            statement("SELECT pg_catalog.format('GRANT %s ON %s TO %s', given.privilege_type, view.oid::regclass, "
                      "CASE given.grantee WHEN 0::oid THEN 'PUBLIC' ELSE given.grantee::regrole::text END) "
                      "FROM pg_class AS view, aclexplode(view.relacl) AS given "
                      "WHERE view.oid = to_regclass($1) AND given.grantee <> view.relowner")
                .query(with_schema("{s}." + table, place_));
        while (rows.next()) result.append(rows.text(0)).append(1, ';');
    }
    return result;
}

inline void ReadModel::drop_lower_versions(bool also_live)
{
    constexpr const char* lower = "name = $1 AND version < $2 AND (NOT is_live OR $3)";
    std::string drop;
    auto rows = statement(std::string{"SELECT version, is_live, tables FROM {s}.read_models WHERE "} + lower)
                    .query(schema_.name, schema_.version, also_live);
    while (rows.next()) {
        std::string views;
        std::string tables;
        const auto add = [](std::string& list, const std::string& name) {
            list.append(list.empty() ? "" : ", ").append("{s}.").append(name);
        };
        std::string_view names = rows.text(2);
        for (std::size_t end = 0; (end = names.find(' ')) != std::string_view::npos; names.remove_prefix(end + 1)) {
            const std::string name{names.substr(0, end)};
            add(views, name);
            add(tables, name + "_v" + std::to_string(rows.integer(0)));
        }
        if (tables.empty()) continue;
        if (rows.integer(1) != 0) drop.append("DROP VIEW ").append(views).append(1, ';');
        drop.append("DROP TABLE ").append(tables).append(1, ';');
    }
    if (!drop.empty()) connection_->execute(with_schema(drop, place_));
    for (const char* const table : {"checkpoints WHERE name", "parked_streams WHERE projection"}) {
        statement(std::string{"DELETE FROM {s}."} + table +
                  " IN (SELECT name || '_v' || version::text FROM {s}.read_models WHERE " + lower + ')')
            .run(schema_.name, schema_.version, also_live);
    }
    statement(std::string{"DELETE FROM {s}.read_models WHERE "} + lower).run(schema_.name, schema_.version, also_live);
}

} // namespace escqrs::postgres
