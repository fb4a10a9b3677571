// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/postgres/checkpoint.hpp>
#include <escqrs/postgres/connection.hpp>
#include <escqrs/postgres/statement.hpp>
#include <escqrs/sqlite/checkpoint.hpp>
#include <escqrs/sqlite/database.hpp>

#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

// The read model's database, an SQLite file or PostgreSQL, behind the verbs that both have. The statements of this example
// are written so that both understand them: values take the places $1, $2, … which have to appear in this order, for SQLite
// numbers them as they come.
namespace conference::read_model {

/// Refers to a connection, as a pointer does.
class DatabaseRef {
public:
    DatabaseRef(escqrs::sqlite::Database& database) noexcept : database_{&database} {}         // NOLINT: on purpose
    DatabaseRef(escqrs::postgres::Connection& connection) noexcept : database_{&connection} {} // NOLINT: on purpose

    bool in_transaction() const
    {
        return std::visit([](auto* database) { return database->in_transaction(); }, database_);
    }

    /// The first column of the first row, as a number; 0 if there is none.
    std::int64_t query_integer(const std::string& sql) const;

    /// Calls `use(database)` with what it refers to.
    template <class Use>
    decltype(auto) visit(Use use) const
    {
        return std::visit([&](auto* database) -> decltype(auto) { return use(*database); }, database_);
    }

private:
    std::variant<escqrs::sqlite::Database*, escqrs::postgres::Connection*> database_;
};

/// A connection of one's own.
/// @par Thread safety  one thread at a time
class Database {
public:
    /// Opens the read model, and creates it if it is not there: whoever comes first does.
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

    operator DatabaseRef() noexcept { return ref(); } // NOLINT: on purpose
    DatabaseRef ref() noexcept
    {
        if (file_) return *file_;
        return *server_;
    }

private:
    std::optional<escqrs::sqlite::Database> file_;
    std::optional<escqrs::postgres::Connection> server_;
};

/// The rows of a query's answer. Views are valid until the next row.
class Rows {
public:
    explicit Rows(std::variant<escqrs::sqlite::Rows, escqrs::postgres::Rows> rows) : rows_{std::move(rows)} {}

    bool next()
    {
        return std::visit([](auto& rows) { return rows.next(); }, rows_);
    }
    bool is_null(int column) const
    {
        return std::visit([column](const auto& rows) { return rows.is_null(column); }, rows_);
    }
    std::int64_t integer(int column) const
    {
        return std::visit([column](const auto& rows) { return rows.integer(column); }, rows_);
    }
    std::string_view text(int column) const
    {
        return std::visit([column](const auto& rows) { return rows.text(column); }, rows_);
    }
    escqrs::Timestamp time(int column) const
    {
        return std::visit([column](const auto& rows) { return rows.time(column); }, rows_);
    }

private:
    std::variant<escqrs::sqlite::Rows, escqrs::postgres::Rows> rows_;
};

/// A statement, made once and run often. It must not outlive its connection.
class Statement {
public:
    Statement(DatabaseRef database, const std::string& sql) : statement_{make(database, sql)} {}

    /// @return number of rows it changed
    template <class... Values>
    int run(const Values&... values)
    {
        return std::visit([&](auto& statement) { return static_cast<int>(statement.run(values...)); }, statement_);
    }

    template <class... Values>
    [[nodiscard]] Rows query(const Values&... values)
    {
        return std::visit([&](auto& statement) { return Rows{statement.query(values...)}; }, statement_);
    }

private:
    using Either = std::variant<escqrs::sqlite::Statement, escqrs::postgres::Statement>;

    static Either make(DatabaseRef database, const std::string& sql);

    Either statement_;
};

/// A write transaction; of all of them, in whatever process, one at a time. Rolls back when it ends without `commit`.
///
/// SQLite has it so. With PostgreSQL each takes the row of the progress first, which every change of an attendee changes in
/// any case: so the changes are committed in the order of their numbers, and nobody locks what another waits for.
class Transaction {
public:
    explicit Transaction(DatabaseRef database);
    void commit();

private:
    std::variant<std::monostate, escqrs::sqlite::Transaction, escqrs::postgres::Transaction> transaction_;
};

/// A part of a transaction that can be undone alone. Rolls back when it ends without `commit`.
class Savepoint {
public:
    explicit Savepoint(DatabaseRef database);
    void commit();

private:
    std::variant<std::monostate, escqrs::sqlite::Savepoint, escqrs::postgres::Savepoint> savepoint_;
};

using escqrs::Advance;

/// How far each stream has been applied to the read model. To be used within a `Transaction`.
class StreamCheckpoint {
public:
    StreamCheckpoint(DatabaseRef database, const std::string& projection);

    /// Tells what to do with an event, and if it is to be applied, remembers its version.
    Advance advance(const escqrs::StreamId& stream, escqrs::StreamVersion version);

    /// Version of the last event applied; 0 if there is none.
    escqrs::StreamVersion version_of(const escqrs::StreamId& stream);

    /// Forgets all streams.
    void clear();

private:
    using Either = std::variant<escqrs::sqlite::StreamCheckpoint, escqrs::postgres::StreamCheckpoint>;

    static Either make(DatabaseRef database, const std::string& projection);

    Either checkpoint_;
};

} // namespace conference::read_model
