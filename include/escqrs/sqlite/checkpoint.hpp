// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/bookmark.hpp>
#include <escqrs/core/identifiers.hpp>
#include <escqrs/projections/advance.hpp>
#include <escqrs/sqlite/database.hpp>

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace escqrs::sqlite {

/// How far a reader of the log has come, kept in a database beside the read model that it belongs to.
///
/// `begin` opens a transaction in which the read model and the position change together.
/// @par Thread safety  as its database: one thread at a time
class Checkpoint {
public:
    /// A write transaction on the database. Rolls back when it ends without a commit.
    class Transaction {
    public:
        GlobalPosition position() const noexcept { return state_.mark.position; }
        const Bookmark& bookmark() const noexcept { return state_.mark; }

        /// The furthest position ever reached before the last restart.
        GlobalPosition replay_until() const noexcept { return state_.replay_until; }

        /// Makes what was written, and the position, durable together.
        void commit(GlobalPosition position) { commit_bookmark({position, state_.mark.log}); }

        /// The same, with the log and the event there.
        void commit_bookmark(const Bookmark& mark) { commit_bookmark(mark, state_.replay_until); }

        /// As `commit_bookmark`, and remembers another `replay_until`.
        void commit_bookmark(const Bookmark& mark, GlobalPosition replay_until)
        {
            checkpoint_->write({mark, replay_until});
            transaction_.commit();
        }

        /// As `commit`, with the position at the beginning of a log, whichever is read next.
        /// @param handled_limit  of what was handled before, events up to there count
        void commit_restart(GlobalPosition handled_limit = GlobalPosition{~std::uint64_t{0}})
        {
            const GlobalPosition handled = std::max(state_.replay_until, state_.mark.position);
            commit_bookmark({}, std::min(handled, handled_limit));
        }

    private:
        friend Checkpoint;
        explicit Transaction(Checkpoint& checkpoint)
            : checkpoint_{&checkpoint}, transaction_{*checkpoint.database_}, state_{checkpoint.read()}
        {
        }

        struct State {
            Bookmark mark;
            GlobalPosition replay_until;
        };

        Checkpoint* checkpoint_;
        sqlite::Transaction transaction_;
        State state_;
    };

    /// Creates its table if there is none.
    /// @param database  must outlive this
    /// @param name      tells this reader's checkpoint from those of others
    Checkpoint(Database& database, std::string name) : database_{&database}, name_{std::move(name)} {}

    const std::string& name() const noexcept { return name_; }
    GlobalPosition load() { return read().mark.position; }
    Bookmark bookmark() { return read().mark; }

    /// Writes the position; within a transaction that is open on the database, as a part of it. Forgets which log was read: the
    /// next reader takes its own for the one that is meant.
    void save(GlobalPosition position) { save_bookmark({position}); }

    /// As `save`, with the log and the event there.
    void save_bookmark(const Bookmark& mark) { write({mark, read().replay_until}); }

    Transaction begin() { return Transaction{*this}; }

private:
    using State = Transaction::State;

    friend class ReadModel;

    static Database& with_table(Database& database)
    {
        database.execute(
            "CREATE TABLE IF NOT EXISTS escqrs_checkpoints (name TEXT PRIMARY KEY, position INTEGER NOT NULL, "
            "replay_until INTEGER NOT NULL, log TEXT NOT NULL DEFAULT '', event TEXT NOT NULL DEFAULT '') WITHOUT "
            "ROWID");
        if (knows_logs(database)) return database;
        if (database.in_transaction()) {
            add_logs(database);
        } else {
            sqlite::Transaction transaction{database};
            if (!knows_logs(database)) add_logs(database); // else another process was faster
            transaction.commit();
        }
        return database;
    }

    static bool knows_logs(Database& database)
    {
        return database.query_integer(
                   "SELECT count(*) FROM pragma_table_info('escqrs_checkpoints') WHERE name = 'event'") != 0;
    }

    /// To a table from before checkpoints knew their log.
    static void add_logs(Database& database)
    {
        database.execute("ALTER TABLE escqrs_checkpoints ADD COLUMN log TEXT NOT NULL DEFAULT ''; "
                         "ALTER TABLE escqrs_checkpoints ADD COLUMN event TEXT NOT NULL DEFAULT ''");
    }

    /// Of columns `position`, `log` and `event`, from the first one on.
    static Bookmark bookmark_in(const Rows& rows)
    {
        const std::string_view log = rows.text(1);
        const std::string_view event = rows.text(2);
        return {GlobalPosition{static_cast<std::uint64_t>(rows.integer(0))}, log.empty() ? LogId{} : LogId::parse(log),
                event.empty() ? EventId{} : EventId::parse(event)};
    }

    State read()
    {
        auto rows = select_.query(name_);
        if (!rows.next()) return {};
        return {bookmark_in(rows), GlobalPosition{static_cast<std::uint64_t>(rows.integer(3))}};
    }
    void write(const State& state)
    {
        const auto text_of = [](const auto& id) { return id.is_nil() ? std::string{} : to_string(id); };
        upsert_.run(name_, state.mark.position.value(), state.replay_until.value(), text_of(state.mark.log),
                    text_of(state.mark.event));
    }

    Database* database_;
    std::string name_;
    Statement select_{with_table(*database_),
                      "SELECT position, log, event, replay_until FROM escqrs_checkpoints WHERE name = ?"};
    Statement upsert_{
        *database_,
        "INSERT INTO escqrs_checkpoints VALUES (?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET position = "
        "excluded.position, replay_until = excluded.replay_until, log = excluded.log, event = excluded.event"};
};

using escqrs::Advance;

/// How far each stream has been applied to a read model: for a consumer of a queue, to whom messages may come twice or too
/// soon. Kept in a database beside the read model.
/// @par Thread safety  as its database: one thread at a time
class StreamCheckpoint {
public:
    /// Creates its table if there is none.
    /// @param database    must outlive this
    /// @param projection  tells this read model's checkpoints from those of others
    StreamCheckpoint(Database& database, std::string projection)
        : database_{&database}, projection_{std::move(projection)}
    {
    }

    /// Tells what to do with an event, and if it is to be applied, remembers its version. Call it in the transaction that
    /// applies it.
    Advance advance(const StreamId& stream, StreamVersion version)
    {
        if (version == StreamVersion{}) return Advance::duplicate;
        // What comes in its turn takes one statement.
        const int changed = version == StreamVersion{1} ? insert_.run(projection_, stream.text())
                                                        : update_.run(version.value(), projection_, stream.text());
        if (changed == 1) return Advance::apply;
        return version <= version_of(stream) ? Advance::duplicate : Advance::gap;
    }

    /// Version of the last event applied; 0 if there is none.
    StreamVersion version_of(const StreamId& stream)
    {
        auto rows = select_.query(projection_, stream.text());
        return rows.next() ? StreamVersion{static_cast<std::uint64_t>(rows.integer(0))} : StreamVersion{};
    }

    /// Forgets all streams: for a read model that is built anew. Call it in the transaction that empties the read model.
    void clear() { clear_.run(projection_); }

private:
    static Database& with_table(Database& database)
    {
        database.execute(
            "CREATE TABLE IF NOT EXISTS escqrs_stream_checkpoints (projection TEXT NOT NULL, stream TEXT NOT "
            "NULL, version INTEGER NOT NULL, PRIMARY KEY (projection, stream)) WITHOUT ROWID");
        return database;
    }

    Database* database_;
    std::string projection_;
    Statement select_{with_table(*database_),
                      "SELECT version FROM escqrs_stream_checkpoints WHERE projection = ? AND stream = ?"};
    Statement insert_{*database_, "INSERT INTO escqrs_stream_checkpoints VALUES (?, ?, 1) ON CONFLICT DO NOTHING"};
    Statement update_{*database_, "UPDATE escqrs_stream_checkpoints SET version = ?1 "
                                  "WHERE projection = ?2 AND stream = ?3 AND version = ?1 - 1"};
    Statement clear_{*database_, "DELETE FROM escqrs_stream_checkpoints WHERE projection = ?"};
};

} // namespace escqrs::sqlite
