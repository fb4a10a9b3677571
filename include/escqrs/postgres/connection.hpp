// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/postgres/database_error.hpp>

#include <libpq-fe.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace escqrs::postgres {

namespace detail {
struct ClearResult {
    void operator()(PGresult* result) const noexcept { PQclear(result); }
};
using Result = std::unique_ptr<PGresult, ClearResult>;
} // namespace detail

struct ConnectionOptions {
    /// Whether statements are prepared on the server, once for each connection. Not behind a PgBouncer that pools
    /// transactions: there, a statement may meet a connection on which it was never prepared.
    bool prepares_statements = true;
};

/// A connection to a PostgreSQL database.
///
/// It speaks libpq's own connection string, with all it knows of TLS, passwords, keepalives and several hosts:
/// `postgresql://user@host:5432/database?sslmode=verify-full&connect_timeout=5`. A connection that was lost is made again by
/// the next transaction or statement outside of one.
/// @par Thread safety  one thread at a time; use a connection per thread, or a `ConnectionPool`
class Connection {
public:
    /// @throws ConnectionLost if there is no connection to be had
    explicit Connection(std::string address, ConnectionOptions options = {});

    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    /// Names the server and the database, for error messages; without user and password.
    const std::string& where() const noexcept { return where_; }
    PGconn* handle() const noexcept { return handle_.get(); }
    const ConnectionOptions& options() const noexcept { return options_; }

    /// Runs one or more statements that return nothing.
    void execute(const std::string& sql);

    bool in_transaction() const noexcept
    {
        const auto status = PQtransactionStatus(handle());
        return status == PQTRANS_INTRANS || status == PQTRANS_INERROR;
    }

    /// Whether it was found to be gone.
    bool is_lost() const noexcept { return PQstatus(handle()) != CONNECTION_OK; }

    /// Connects again if the connection was lost outside of a transaction.
    /// @throws ConnectionLost if it was lost within one, or there is no connection to be had
    void ensure_connected();

    /// Gives up the connection, whatever is under way.
    void close() noexcept { handle_.reset(); }

    /// Asks the server to end what it is doing for this connection; it may be too late for that.
    void cancel() noexcept;

    /// How often it was made: statements that were prepared are gone with the connection before.
    std::uint64_t generation() const noexcept { return generation_; }

    /// For names of prepared statements.
    std::uint64_t next_statement_number() noexcept { return ++statements_; }

    /// Passes on what a call returned.
    /// @throws DatabaseError if it failed; ConnectionLost if the connection did
    detail::Result check(PGresult* result, std::string_view what);

private:
    friend class Transaction;

    struct Finish {
        void operator()(PGconn* handle) const noexcept { PQfinish(handle); }
    };

    void connect();
    [[noreturn]] void fail(std::string_view what, const char* message, const char* state) const;

    std::string address_;
    ConnectionOptions options_;
    std::string where_;
    std::unique_ptr<PGconn, Finish> handle_;
    std::uint64_t generation_ = 0;
    std::uint64_t statements_ = 0;
    bool is_within_transaction_ = false; ///< as this object has begun it
};

/// A transaction. Rolls back when it ends without `commit`.
class Transaction {
public:
    explicit Transaction(Connection& connection);
    Transaction(const Transaction&) = delete;
    Transaction& operator=(const Transaction&) = delete;
    ~Transaction();

    /// Makes durable what was written.
    /// @throws DatabaseError and nothing is; ConnectionLost if that cannot be known
    void commit();

private:
    Connection* connection_;
    bool committed_ = false;
};

/// A part of a transaction that can be undone alone. Rolls back when it ends without `commit`.
class Savepoint {
public:
    explicit Savepoint(Connection& connection) : connection_{&connection} { connection.execute("SAVEPOINT part"); }
    Savepoint(const Savepoint&) = delete;
    Savepoint& operator=(const Savepoint&) = delete;
    ~Savepoint();

    /// Makes what was written part of the transaction around it.
    void commit()
    {
        connection_->execute("RELEASE part");
        committed_ = true;
    }

private:
    Connection* connection_;
    bool committed_ = false;
};

inline Connection::Connection(std::string address, ConnectionOptions options)
    : address_{std::move(address)}, options_{options}
{
    connect();
}

inline void Connection::connect()
{
    handle_.reset(PQconnectdb(address_.c_str()));
    if (!handle_) throw std::bad_alloc{};
    const auto text = [](const char* given) { return std::string{given == nullptr ? "" : given}; };
    where_ = text(PQhost(handle())) + ':' + text(PQport(handle())) + '/' + text(PQdb(handle()));
    if (is_lost()) fail("cannot connect", PQerrorMessage(handle()), "");
    PQsetNoticeProcessor(
        handle(), [](void*, const char*) {}, nullptr); // libpq would write them to stderr
    ++generation_;
}

inline void Connection::ensure_connected()
{
    if (!is_lost()) return;
    if (is_within_transaction_) fail("the transaction is lost", "the connection was lost", "");
    connect();
}

inline void Connection::execute(const std::string& sql)
{
    ensure_connected();
    check(PQexec(handle(), sql.c_str()), sql);
}

inline void Connection::cancel() noexcept
{
    PGcancel* const request = PQgetCancel(handle());
    if (request == nullptr) return;
    char error[256]; // NOLINT(modernize-avoid-c-arrays): as libpq wants it
    (void)PQcancel(request, error, sizeof error);
    PQfreeCancel(request);
}

inline detail::Result Connection::check(PGresult* result, std::string_view what)
{
    detail::Result owned{result};
    switch (PQresultStatus(result)) { // that of a null pointer is an error
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
    case PGRES_COPY_IN:
    case PGRES_COPY_OUT: return owned;
    default: break;
    }
    const char* const state = result == nullptr ? nullptr : PQresultErrorField(result, PG_DIAG_SQLSTATE);
    fail(what, result == nullptr ? PQerrorMessage(handle()) : PQresultErrorMessage(result),
         state == nullptr ? "" : state);
}

inline void Connection::fail(std::string_view what, const char* message, const char* state) const
{
    // Class 08: connection exceptions; 57P01 to 57P03: shut down, crashed, starting.
    const std::string_view code{state};
    const bool is_gone = is_lost() || code.starts_with("08") || code == "57P01" || code == "57P02" || code == "57P03";
    constexpr std::size_t max_shown = 200;
    const std::string_view shown = what.substr(0, max_shown);
    if (is_gone) throw ConnectionLost{where_, shown, message, std::string{code}};
    throw DatabaseError{where_, shown, message, std::string{code}};
}

inline Transaction::Transaction(Connection& connection) : connection_{&connection}
{
    connection.execute("BEGIN");
    connection.is_within_transaction_ = true;
}

inline Transaction::~Transaction()
{
    connection_->is_within_transaction_ = false;
    if (committed_ || connection_->is_lost()) return;
    PQclear(PQexec(connection_->handle(), "ROLLBACK")); // if that fails, the connection is lost
}

inline void Transaction::commit()
{
    // In a transaction that has failed, COMMIT is a ROLLBACK, and no error.
    if (PQtransactionStatus(connection_->handle()) == PQTRANS_INERROR) {
        throw DatabaseError{connection_->where(), "COMMIT", "a statement of the transaction has failed", "25P02"};
    }
    connection_->execute("COMMIT");
    committed_ = true;
}

inline Savepoint::~Savepoint()
{
    if (committed_ || !connection_->in_transaction()) return;
    PQclear(PQexec(connection_->handle(), "ROLLBACK TO part; RELEASE part"));
}

} // namespace escqrs::postgres
