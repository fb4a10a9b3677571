// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/bookmark.hpp>
#include <escqrs/core/identifiers.hpp>
#include <escqrs/postgres/connection.hpp>
#include <escqrs/postgres/lease.hpp>
#include <escqrs/postgres/read_model_schema.hpp>
#include <escqrs/postgres/shard.hpp>
#include <escqrs/postgres/statement.hpp>
#include <escqrs/projections/advance.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

namespace escqrs::postgres {

/// How far a reader of the log has come, kept in a database beside the read model that it belongs to.
///
/// `begin` opens a transaction in which the read model and the position change together. Only one such transaction of a name
/// is open at a time; others wait for it, and go on from where it has come to.
/// @par Thread safety  as its connection: one thread at a time
class Checkpoint {
public:
    /// A transaction on the connection. Rolls back when it ends without a commit.
    class Transaction {
    public:
        GlobalPosition position() const noexcept { return state_.mark.position; }
        const Bookmark& bookmark() const noexcept { return state_.mark; }

        /// The furthest position ever reached before the last restart.
        GlobalPosition replay_until() const noexcept { return state_.replay_until; }

        /// Whether this checkpoint has its streams from others (`reshard`), and has not yet passed where all of those stood.
        bool is_taking_over() const noexcept { return !state_.handled_before.empty(); }

        /// Up to where a stream was handled by the shard that it was in before; 0 if this one is not taking over.
        GlobalPosition handled_until(const StreamId& stream) const noexcept
        {
            if (!is_taking_over()) return {};
            const auto position = state_.handled_before[shard_of(stream, state_.handled_before.size())];
            return GlobalPosition{static_cast<std::uint64_t>(position)};
        }

        /// Makes what was written, and the position, durable together.
        /// @throws LeaseLost if there is a lease, and another holder has it by now
        void commit(GlobalPosition position) { commit_bookmark({position, state_.mark.log}); }

        /// The same, with the log and the event there.
        void commit_bookmark(const Bookmark& mark) { commit_bookmark(mark, state_.replay_until); }

        /// As `commit_bookmark`, and remembers another `replay_until`.
        void commit_bookmark(const Bookmark& mark, GlobalPosition replay_until)
        {
            checkpoint_->write({mark, replay_until, state_.handled_before});
            checkpoint_->check_lease();
            transaction_.commit();
        }

        /// As `commit`, with the position at the beginning of a log, whichever is read next.
        /// @param handled_limit  of what was handled before, events up to there count
        /// @throws StoreError while it is taking over: some streams were handled further than others
        void commit_restart(GlobalPosition handled_limit = GlobalPosition{~std::uint64_t{0}})
        {
            if (is_taking_over()) checkpoint_->refuse_restart(state_);
            const GlobalPosition handled = std::max(state_.replay_until, state_.mark.position);
            commit_bookmark({}, std::min(handled, handled_limit));
        }

    private:
        friend Checkpoint;
        template <class Before>
        Transaction(Checkpoint& checkpoint, Before before)
            : checkpoint_{&checkpoint}, transaction_{*checkpoint.connection_}
        {
            checkpoint.give_up_when_paused();
            before();
            state_ = checkpoint.read(checkpoint.lock_);
        }

        struct State {
            Bookmark mark;
            GlobalPosition replay_until;
            std::vector<std::int64_t> handled_before; ///< where each of the former shards stood

            GlobalPosition taken_over_at() const
            {
                return GlobalPosition{static_cast<std::uint64_t>(*std::ranges::max_element(handled_before))};
            }
        };

        Checkpoint* checkpoint_;
        postgres::Transaction transaction_;
        State state_;
    };

    /// Creates its table if there is none.
    /// @param connection  must outlive this
    /// @param name        tells this reader's checkpoint from those of others
    Checkpoint(Connection& connection, std::string name, const std::string& schema = "escqrs")
        : Checkpoint{connection, std::move(name), schema, nullptr}
    {
    }

    /// A checkpoint that only the holder of `lease` can move; in the lease's schema.
    /// @param lease  must outlive this; it may be renewed in another thread, over another connection
    Checkpoint(Connection& connection, std::string name, const Lease& lease)
        : Checkpoint{connection, std::move(name), lease.options().schema, &lease}
    {
    }

    const std::string& name() const noexcept { return name_; }
    GlobalPosition load() { return bookmark().position; }
    Bookmark bookmark() { return read(select_).mark; }

    /// Writes the position; within a transaction that is open on the connection, as a part of it. Forgets which log was read:
    /// the next reader takes its own for the one that is meant.
    /// @throws LeaseLost as `Transaction::commit`; the owner of an open transaction must then roll it back
    void save(GlobalPosition position) { save_bookmark({position}); }

    /// As `save`, with the log and the event there.
    void save_bookmark(const Bookmark& mark)
    {
        if (!connection_->in_transaction()) return begin().commit_bookmark(mark);
        give_up_when_paused();
        const State state = read(select_);
        write({mark, state.replay_until, state.handled_before});
        check_lease();
    }

    Transaction begin()
    {
        return begin([] {});
    }

private:
    friend class ReadModel;
    using State = Transaction::State;

    static constexpr const char* select_sql =
        "SELECT position, log, event, event_position, replay_until, handled_before "
        "FROM {s}.checkpoints WHERE name = $1";

    /// @param before  called in the transaction, before it locks the position
    template <class Before>
    Transaction begin(Before before)
    {
        return Transaction{*this, before};
    }

    Checkpoint(Connection& connection, std::string name, const std::string& schema, const Lease* lease)
        : connection_{&detail::with_read_models(connection, schema)}, name_{std::move(name)}, lease_{lease},
          select_{connection, with_schema(select_sql, schema)},
          lock_{connection, with_schema(std::string{select_sql} + " FOR UPDATE", schema)},
          update_{connection, with_schema("UPDATE {s}.checkpoints SET position = $2, replay_until = $3, log = $4, "
                                          "event = $5, event_position = $2 WHERE name = $1",
                                          schema)},
          forget_former_{connection,
                         with_schema("UPDATE {s}.checkpoints SET handled_before = NULL WHERE name = $1", schema)},
          hold_lease_{connection, with_schema("SELECT 1 FROM {s}.leases WHERE name = $1 AND holder = $2 AND token = $3 "
                                              "FOR SHARE",
                                              schema)}
    {
        create(schema);
    }

    void create(const std::string& schema);

    State read(Statement& select)
    {
        auto rows = select.query(name_);
        if (!rows.next()) return {};
        return {bookmark_in(rows), GlobalPosition{static_cast<std::uint64_t>(rows.integer(4))}, rows.integers(5)};
    }
    void write(const State& state)
    {
        update_.run(name_, state.mark.position.value(), state.replay_until.value(), state.mark.log, state.mark.event);
        if (!state.handled_before.empty() && state.mark.position >= state.taken_over_at()) forget_former_.run(name_);
    }

    /// Of columns `position`, `log`, `event` and `event_position`, from the first one on. A program that knows no logs moves the
    /// position alone.
    static Bookmark bookmark_in(const Rows& rows)
    {
        const bool is_at_event = rows.integer(0) == rows.integer(3);
        return {GlobalPosition{static_cast<std::uint64_t>(rows.integer(0))}, LogId{rows.uuid(1)},
                is_at_event ? EventId{rows.uuid(2)} : EventId{}};
    }

    [[noreturn]] void refuse_restart(const State& state) const
    {
        throw StoreError{"checkpoint '" + name_ + "': cannot be restarted before position " +
                         std::to_string(state.taken_over_at().value()) +
                         ", where the furthest shard stood before; it is at " +
                         std::to_string(state.mark.position.value())};
    }

    /// No other holder can take the lease between this and the end of the transaction.
    void check_lease()
    {
        if (lease_ == nullptr) return;
        // A server that took over without the last changes may give out a token twice.
        auto rows = hold_lease_.query(lease_->name(), lease_->options().holder, lease_->token());
        if (!rows.next()) throw LeaseLost{lease_->name(), lease_->token()};
    }

    /// Makes the server end the transaction of a process that was paused within it, so that it holds up no successor.
    void give_up_when_paused()
    {
        if (lease_ == nullptr) return;
        constexpr Duration longest = std::chrono::milliseconds{std::numeric_limits<std::int32_t>::max()};
        const auto limit = std::chrono::ceil<std::chrono::milliseconds>(std::min(lease_->options().duration, longest));
        connection_->execute("SET LOCAL idle_in_transaction_session_timeout = " + std::to_string(limit.count()));
    }

    Connection* connection_;
    std::string name_;
    const Lease* lease_;
    Statement select_;
    Statement lock_;
    Statement update_;
    Statement forget_former_;
    Statement hold_lease_;
};

/// Sees to it that there is a row, and that it tells the lease.
inline void Checkpoint::create(const std::string& schema)
{
    Statement insert{*connection_, with_schema("INSERT INTO {s}.checkpoints (name, position, replay_until) "
                                               "VALUES ($1, 0, 0) ON CONFLICT DO NOTHING",
                                               schema)};
    insert.run(name_);
    if (lease_ == nullptr) return;
    // Not if it is the checkpoint of another shard of the same name.
    Statement tell{*connection_, with_schema("UPDATE {s}.checkpoints SET lease = $2 WHERE name = $1 AND (lease IS NULL "
                                             "OR lease <> $2 AND NOT ($3 AND regexp_replace(lease, '/[0-9]+$', '') = "
                                             "regexp_replace($2, '/[0-9]+$', '')))",
                                             schema)};
    tell.run(name_, lease_->name(), lease_->shards_ != 0);
    Statement select{*connection_, with_schema("SELECT lease FROM {s}.checkpoints WHERE name = $1", schema)};
    auto rows = select.query(name_);
    if (!rows.next() || rows.text(0) == lease_->name()) return;
    throw StoreError{"checkpoint '" + name_ + "': expected one of its own for shard '" + lease_->name() +
                     "', found that of shard '" + std::string{rows.text(0)} + '\''};
}

using escqrs::Advance;

/// How far each stream has been applied to a read model: for a consumer of a queue, to whom messages may come twice or too
/// soon. Kept in a database beside the read model.
/// @par Thread safety  as its connection: one thread at a time
class StreamCheckpoint {
public:
    /// Creates its table if there is none.
    /// @param connection  must outlive this
    /// @param projection  tells this read model's checkpoints from those of others
    StreamCheckpoint(Connection& connection, std::string projection, const std::string& schema = "escqrs")
        : projection_{std::move(projection)},
          select_{
              detail::with_read_models(connection, schema),
              with_schema("SELECT version FROM {s}.stream_checkpoints WHERE projection = $1 AND stream = $2", schema)},
          lock_{connection, with_schema("SELECT pg_advisory_xact_lock('{s}.stream_checkpoints'::regclass::oid::bigint::"
                                        "bit(32)::integer, hashtext($1 || $2))",
                                        schema)},
          upsert_{connection, with_schema("INSERT INTO {s}.stream_checkpoints VALUES ($1, $2, $3) "
                                          "ON CONFLICT (projection, stream) DO UPDATE SET version = excluded.version",
                                          schema)},
          clear_{connection, with_schema("DELETE FROM {s}.stream_checkpoints WHERE projection = $1", schema)}
    {
    }

    /// Tells what to do with an event, and if it is to be applied, remembers its version. Call it in the transaction that
    /// applies it; others who ask about the stream wait until that has ended.
    Advance advance(const StreamId& stream, StreamVersion version)
    {
        (void)lock_.query(projection_, stream.text());
        const StreamVersion last = version_of(stream);
        if (version <= last) return Advance::duplicate;
        if (version != last.next()) return Advance::gap;
        upsert_.run(projection_, stream.text(), version.value());
        return Advance::apply;
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
    std::string projection_;
    Statement select_;
    Statement lock_;
    Statement upsert_;
    Statement clear_;
};

} // namespace escqrs::postgres
