// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/function_ref.hpp>
#include <escqrs/core/identifiers.hpp>
#include <escqrs/projections/advance.hpp>

#include <concepts>
#include <string>
#include <utility>

namespace escqrs::inline v0 {

/// A read model that a `MessageProcessor` keeps, and how far each stream has been applied to it.
///
/// - `transact(work)` opens a write transaction, calls `work`, and commits if that returns true. If it returns false or
///   throws, everything is undone.
/// - `attempt(part)` calls `part` within the transaction. If it throws, what it wrote is undone, and nothing else.
/// - `in_transaction()` returns whether the transaction is still open: some failures make a database roll back by
///   itself.
/// - `advance(stream, version)` returns what to do with an event, and remembers its version if it must be applied,
///   within the transaction.
/// - `version_of(stream)` is the version of the last event applied; 0 if there is none.
/// - `check_writable()` commits a write that changes nothing. Throws `StoreError` if nothing can be written.
/// - `is_transactional` is false for a model that cannot undo what handlers have written: then only `attempt` undoes,
///   and only the `advance` of its part.
template <class Model>
concept StreamReadModel = requires(Model& model, FunctionRef<bool()> work, FunctionRef<void()> part,
                                   const StreamId& stream, StreamVersion version) {
    { Model::is_transactional } -> std::convertible_to<bool>;
    { model.transact(work) } -> std::same_as<void>;
    { model.attempt(part) } -> std::same_as<void>;
    { model.in_transaction() } -> std::same_as<bool>;
    { model.advance(stream, version) } -> std::same_as<Advance>;
    { model.version_of(stream) } -> std::same_as<StreamVersion>;
    { model.check_writable() } -> std::same_as<void>;
};

/// The stream read model in a database: `sqlite::StreamReadModel` and `postgres::StreamReadModel` are the usual ones.
/// @tparam Database     a reference to a connection, or a class that refers to one; has `in_transaction()`
/// @tparam Transaction  constructed from the database; rolls back at its end unless `commit()` was called
/// @tparam Savepoint    the same for a part of a transaction
/// @tparam Checkpoint   `advance`, `version_of` and `clear`, constructed from the database, a name and further
/// arguments
/// @par Thread safety  as the database: one thread at a time
template <class Database, class Transaction, class Savepoint, class Checkpoint>
class BasicStreamReadModel {
public:
    /// As `StreamReadModel` describes it.
    /// @{
    static constexpr bool is_transactional = true;

    /// @param database  must outlive this
    /// @param name      distinguishes this read model's checkpoints from those of others in the same database
    template <class... Arguments>
    BasicStreamReadModel(Database database, const std::string& name, const Arguments&... arguments)
        : database_{database}, checkpoint_{database, name, arguments...},
          probe_{database, name + " (probe)", arguments...}
    {
    }

    void transact(FunctionRef<bool()> work)
    {
        Transaction transaction{database_};
        if (work()) transaction.commit();
    }
    void attempt(FunctionRef<void()> part)
    {
        Savepoint savepoint{database_};
        part();
        savepoint.commit();
    }
    bool in_transaction() { return database_.in_transaction(); }
    Advance advance(const StreamId& stream, StreamVersion version) { return checkpoint_.advance(stream, version); }
    StreamVersion version_of(const StreamId& stream) { return checkpoint_.version_of(stream); }
    void check_writable()
    {
        transact([this] {
            probe_.advance(StreamId::parse("probe-00000000-0000-0000-0000-000000000001"), StreamVersion{1});
            probe_.clear();
            return true;
        });
    }
    /// @}

private:
    Database database_;
    Checkpoint checkpoint_;
    /// Has streams only while `check_writable` runs.
    Checkpoint probe_;
};

} // namespace escqrs::inline v0
