// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/bookmark.hpp>
#include <escqrs/core/identifiers.hpp>
#include <escqrs/projections/sql/dialect.hpp>

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>

namespace escqrs::inline v0::sql {

/// How far a reader of the log has come, kept in the database of the read model that it belongs to.
///
/// `begin` opens a transaction in which the read model and the position change together. Only one such transaction of a
/// name is open at a time; others wait for it, and continue from where it ends.
/// @par Thread safety  as its database: one thread at a time
template <class Dialect>
class Checkpoint {
    using Row = typename Dialect::CheckpointRow;
    using State = typename Row::State;

public:
    /// Rolls back when it ends without a commit.
    class Transaction {
    public:
        /// How far the reader had come when the transaction began.
        GlobalPosition position() const noexcept { return state_.mark.position; }
        /// The same, with the log if it is known.
        const Bookmark& bookmark() const noexcept { return state_.mark; }

        /// The furthest position ever reached before the last restart.
        GlobalPosition replay_until() const noexcept { return state_.replay_until; }

        /// True if this checkpoint has taken its streams from others (`postgres::reshard`), and has not yet passed all
        /// of their positions.
        bool is_taking_over() const noexcept
            requires requires(const State& state) { state.is_taking_over(); }
        {
            return state_.is_taking_over();
        }

        /// The position up to which a stream's former shard has handled it; 0 if this one is not taking over.
        GlobalPosition handled_until(const StreamId& stream) const noexcept
            requires requires(const State& state) { state.handled_until(stream); }
        {
            return state_.handled_until(stream);
        }

        /// Makes what was written, and the position, durable together.
        /// @throws postgres::LeaseLost if there is a lease, and another holder has it by now
        void commit(GlobalPosition position) { commit_bookmark({position, state_.mark.log}); }

        /// The same, with the log and the event there.
        void commit_bookmark(const Bookmark& mark) { commit_bookmark(mark, state_.replay_until); }

        /// As `commit_bookmark`, and remembers another `replay_until`.
        void commit_bookmark(const Bookmark& mark, GlobalPosition replay_until)
        {
            State next = state_;
            next.mark = mark;
            next.replay_until = replay_until;
            row_->write(next);
            transaction_.commit();
        }

        /// As `commit`, with the position at the beginning of a log, whichever is read next.
        /// @param handled_limit  of what was handled before, events up to there count
        /// @throws StoreError while it is taking over: some streams were handled further than others
        void commit_restart(GlobalPosition handled_limit = GlobalPosition{~std::uint64_t{0}})
        {
            if constexpr (requires { row_->check_restart(state_); }) row_->check_restart(state_);
            const GlobalPosition handled = std::max(state_.replay_until, state_.mark.position);
            commit_bookmark({}, std::min(handled, handled_limit));
        }

    private:
        friend Checkpoint;

        /// @param before  called in the transaction, before it locks the position
        template <class Before>
        Transaction(Checkpoint& checkpoint, Before before)
            : row_{&checkpoint.row_}, transaction_{checkpoint.dialect_.database()}, state_{locked(*row_, before)}
        {
        }

        template <class Before>
        static State locked(Row& row, Before& before)
        {
            row.prepare();
            before();
            return row.lock();
        }

        Row* row_;
        typename Dialect::Transaction transaction_;
        State state_;
    };

    /// Creates its table if there is none.
    /// @param database  must outlive this
    /// @param name      distinguishes this reader's checkpoint from those of others
    /// @param owner     PostgreSQL: the schema; or a lease, in its schema, without which the checkpoint cannot be
    ///                  moved. It must outlive this; it may be renewed in another thread, over another connection
    Checkpoint(typename Dialect::Database& database, std::string name, const typename Dialect::Owner& owner = {})
        : dialect_{database, owner}, row_{dialect_, std::move(name), owner}
    {
        static_assert(sql::Dialect<Dialect>);
    }

    const std::string& name() const noexcept { return row_.name(); } ///< as given
    GlobalPosition load() { return bookmark().position; }            ///< 0 if nothing was saved
    Bookmark bookmark() { return row_.read().mark; }                 ///< with the log, if it is known

    /// Writes the position; within a transaction that is open on the database, as a part of it. Forgets which log was
    /// read: the next reader assumes its own.
    /// @throws postgres::LeaseLost as `Transaction::commit`; the owner of an open transaction must then roll it back
    void save(GlobalPosition position) { save_bookmark({position}); }

    /// As `save`, with the log and the event there.
    void save_bookmark(const Bookmark& mark)
    {
        if (Row::needs_transaction && !dialect_.database().in_transaction()) return begin().commit_bookmark(mark);
        row_.prepare();
        State state = row_.read();
        state.mark = mark;
        row_.write(state);
    }

    /// Opens a transaction on the database, which keeps others from moving this checkpoint.
    Transaction begin()
    {
        return begin([] {});
    }

private:
    template <class>
    friend class ReadModel;

    template <class Before>
    Transaction begin(Before before)
    {
        return Transaction{*this, before};
    }

    Dialect dialect_;
    Row row_;
};

} // namespace escqrs::inline v0::sql
