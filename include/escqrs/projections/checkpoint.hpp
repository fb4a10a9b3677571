// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/identifiers.hpp>

#include <concepts>

namespace escqrs::inline v0 {

/// Remembers how far a reader of the log has come.
///
/// One that also has `bookmark()` and `save_bookmark(const Bookmark&)` remembers the log as well, for readers in later
/// processes. `save(position)` clears that: the next reader assumes its own log.
template <class CheckpointType>
concept Checkpoint = requires(CheckpointType& checkpoint, GlobalPosition position) {
    { checkpoint.load() } -> std::same_as<GlobalPosition>;
    { checkpoint.save(position) } -> std::same_as<void>;
};

/// A checkpoint that is saved in one transaction with the read model it belongs to.
///
/// `begin()` opens a transaction on the read model, which the transaction's destructor rolls back unless it was
/// committed:
/// - `position()` how far the read model has come;
/// - `replay_until()` the furthest it had come before it was last rebuilt: events up to there were handled before;
/// - `commit(position)` makes what was written, and the position, durable together;
/// - `commit_restart()` sets the position to 0 and `replay_until()` to the furthest ever reached.
///
/// To remember the log, for readers in later processes, it also has
/// - `bookmark()` the position with the log, and `commit_bookmark(const Bookmark&)`;
/// - `commit_restart(handled_limit)` as `commit_restart()`, with a `replay_until()` of `handled_limit` at most.
///
/// A read model that is built next to a running one also has
/// - `limit()` the position beyond which it must not go yet; once it is there, `commit(limit())` ends the wait;
/// - `live()` the bookmark of the running one.
///
/// One that was filled from others at different positions, as by `postgres::reshard`, also has
/// - `is_taking_over()` whether it has not passed all of these yet, and `handled_until(stream)` the position that holds
///   for a stream.
template <class CheckpointType>
concept TransactionalCheckpoint =
    requires(CheckpointType& checkpoint, decltype(checkpoint.begin())& transaction, GlobalPosition position) {
        { transaction.position() } -> std::same_as<GlobalPosition>;
        { transaction.replay_until() } -> std::same_as<GlobalPosition>;
        { transaction.commit(position) } -> std::same_as<void>;
        { transaction.commit_restart() } -> std::same_as<void>;
    };

} // namespace escqrs::inline v0
