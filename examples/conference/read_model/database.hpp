// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/postgres/connection.hpp>
#include <escqrs/postgres/dialect.hpp>
#include <escqrs/projections/sql/any_database.hpp>
#include <escqrs/sqlite/database.hpp>
#include <escqrs/sqlite/dialect.hpp>

#include <optional>
#include <stop_token>
#include <string>
#include <utility>

// The read model's database: an SQLite file or a PostgreSQL database. The statements of this example are written so that both
// understand them.
namespace conference::read_model {

using DatabaseRef = escqrs::sql::AnyDatabase<escqrs::sqlite::Dialect, escqrs::postgres::Dialect>;
using Rows = DatabaseRef::Rows;
using Statement = DatabaseRef::Statement;
using Savepoint = DatabaseRef::Savepoint;
using StreamCheckpoint = DatabaseRef::StreamCheckpoint;
using escqrs::Advance;

/// A connection of one's own.
/// @par Thread safety  one thread at a time
class Database {
public:
    /// Opens the read model, and creates it if it is not there.
    /// @param place  path of an SQLite file, or the address of a PostgreSQL database
    /// @param file, server  how to deal with the one or the other
    /// @throws StoreError if it cannot be opened, or is of another version
    explicit Database(const std::string& place, escqrs::sqlite::DatabaseOptions file = {},
                      const escqrs::postgres::ConnectionOptions& server = {});

    /// When `stop` is requested, nothing waits for a server for longer than a second.
    void set_stop(std::stop_token stop) noexcept
    {
        if (server_) server_->set_stop(std::move(stop));
    }

    /// Whether the path no longer leads to the file that is open: it was deleted or replaced.
    bool has_moved() const;

    operator DatabaseRef() { return ref(); } // NOLINT: on purpose
    DatabaseRef ref();

private:
    std::optional<escqrs::sqlite::Database> file_;
    std::optional<escqrs::postgres::Connection> server_;
};

/// A write transaction; of all of them, in whatever process, one at a time. Rolls back when it ends without `commit`.
///
/// SQLite has it so. With PostgreSQL each takes the row of the progress first, which every change of an attendee changes in
/// any case: so the changes are committed in the order of their numbers, and no transaction locks what another waits for.
class Transaction {
public:
    explicit Transaction(const DatabaseRef& database);
    void commit() { transaction_.commit(); }

private:
    DatabaseRef::Transaction transaction_;
};

} // namespace conference::read_model
