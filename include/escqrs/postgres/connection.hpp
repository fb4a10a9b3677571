// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/check_option.hpp>
#include <escqrs/core/stop_token.hpp>
#include <escqrs/core/timestamp.hpp>
#include <escqrs/postgres/database_error.hpp>
#include <escqrs/postgres/detail/answer_limit.hpp>
#include <escqrs/postgres/detail/connecting.hpp>
#include <escqrs/postgres/detail/connection_string.hpp>

#include <libpq-fe.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <limits>
#include <memory>
#include <new>
#include <poll.h>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <system_error>
#include <utility>

namespace escqrs::inline v0::postgres {

namespace detail {
struct ClearResult {
    void operator()(PGresult* result) const noexcept { PQclear(result); }
};
using Result = std::unique_ptr<PGresult, ClearResult>;
} // namespace detail

/// How a connection behaves; its address says where it leads.
struct ConnectionOptions {
    /// Whether statements are prepared on the server, once for each connection. Set it to false behind a PgBouncer that
    /// pools transactions: there, a statement may meet a connection on which it was never prepared.
    bool prepares_statements = true;
    /// How long the server may stay silent while it owes an answer. Then the connection is closed, and the call throws
    /// ConnectionLost. Also how long connecting may take as a whole, from the look-up of names to the end of TLS and
    /// authentication; several hosts share that time, and each has 2 seconds at least. A `connect_timeout` in the
    /// address can give each host less.
    Duration answer_timeout = std::chrono::seconds{30};
    /// When its stop is requested, no wait for the server lasts longer than a second, connecting included: for a
    /// program that must end while its server is silent.
    stop_token stop{};
};

/// A connection to a PostgreSQL database.
///
/// It takes libpq's own connection string, with all it knows of TLS, passwords, keepalives and several hosts:
/// `postgresql://user@host:5432/database?sslmode=verify-full&connect_timeout=5`. Texts are UTF-8, whatever the string,
/// the environment, the role or the database say about `client_encoding`. A connection that was lost is made again by
/// the next transaction or statement outside one. No call waits for longer than `answer_timeout` without a sign of the
/// server: TCP does not notice a server process that is stopped, or a frozen machine whose network card still
/// acknowledges.
/// @par Thread safety  one thread at a time; use a connection per thread, or a `ConnectionPool`
class Connection {
public:
    using SteadyClock = std::chrono::steady_clock; ///< of time limits

    /// @param end  as of `set_end`
    /// @throws ConnectionLost if no connection can be made; InvalidOption
    explicit Connection(std::string address, ConnectionOptions options = {},
                        SteadyClock::time_point end = SteadyClock::time_point::max());

    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    /// Names the server and the database, for error messages; without user and password.
    const std::string& where() const noexcept { return where_; }
    PGconn* handle() const noexcept { return handle_.get(); }              ///< libpq's own; this object closes it
    const ConnectionOptions& options() const noexcept { return options_; } ///< with the timeout and stop now set
    void set_answer_timeout(Duration timeout) noexcept { options_.answer_timeout = timeout; } ///< from now on

    /// Replaces `ConnectionOptions::stop`.
    void set_stop(stop_token stop) noexcept { options_.stop = std::move(stop); }

    /// Waits for no answer beyond `end`, until this is called again.
    void set_end(SteadyClock::time_point end) noexcept { end_ = end; }

    /// Runs `sql` now, and on each connection that is made from now on, before anything else.
    void set_up_by(std::string sql)
    {
        execute(sql);
        set_up_ = std::move(sql);
    }

    /// Runs one or more statements that return nothing.
    void execute(const std::string& sql);

    /// Also true after a failed statement, until the rollback.
    bool in_transaction() const noexcept
    {
        const auto status = PQtransactionStatus(handle());
        return status == PQTRANS_INTRANS || status == PQTRANS_INERROR;
    }

    /// True if the connection was found to be lost.
    bool is_lost() const noexcept { return PQstatus(handle()) != CONNECTION_OK; }

    /// Connects again if the connection was lost outside a transaction.
    /// @throws ConnectionLost if it was lost within one, or no connection can be made
    void ensure_connected();

    /// Gives up the connection, whatever is under way.
    void close() noexcept { handle_.reset(); }

    /// Asks the server to cancel its work, for which it may be too late; closes the connection if it does not answer.
    void cancel() noexcept;

    /// Identifies the connection among all of this process, also among earlier ones of this object; 0: none was made.
    std::uint64_t generation() const noexcept { return generation_; }

    /// For names of prepared statements.
    std::uint64_t next_statement_number() noexcept { return ++statements_; }

    /// SQL that makes the server forget prepared statements. Statements that are destroyed add to it, while a query may
    /// be under way, or after this object.
    const std::shared_ptr<std::string>& released() const noexcept { return released_; }

    /// Runs it, unless the server is in a transaction that has failed.
    void deallocate_released()
    {
        if (released_->empty() || PQtransactionStatus(handle()) == PQTRANS_INERROR) return;
        execute(std::exchange(*released_, {}));
    }

    // What libpq's own functions do, within `answer_timeout`. `what` is for error messages.

    /// Sends what `queue(handle)`, one of libpq's `PQsend...`, puts into its buffer.
    template <class Queue>
    void send(Queue queue, std::string_view what);

    /// Receives the next result of what was sent; null after the last one.
    detail::Result next_result(std::string_view what);

    /// Receives all results of what was sent, or those up to the beginning of a COPY.
    /// @return the last one
    detail::Result last_result(std::string_view what);

    /// Waits until there is something to read, and takes it in.
    /// @return false if the connection was lost
    bool take_in(std::string_view what);

    /// Passes on what a call returned.
    /// @throws DatabaseError if it failed; ConnectionLost if the connection did
    detail::Result check(PGresult* result, std::string_view what);

private:
    friend class Transaction;

    void connect();
    void wait_for_socket(short events, std::string_view what);
    detail::AnswerLimit limit_of(Duration at_most) const { return {at_most, {end_, options_.stop}}; }
    [[noreturn]] void fail_by_silence(std::string_view what, Duration silence) const;
    [[noreturn]] void fail(std::string_view what, const char* message, const char* state) const;

    std::string address_;
    ConnectionOptions options_;
    SteadyClock::time_point end_;
    std::string where_{"?"};
    std::string set_up_;
    detail::Handle handle_;
    std::uint64_t generation_ = 0;
    std::uint64_t statements_ = 0;
    std::shared_ptr<std::string> released_;
    bool is_within_transaction_ = false; ///< as this object has begun it
};

/// A transaction, in which each statement sees what was committed before it (isolation level "read committed", whatever
/// the default is). Rolls back when it ends without `commit`.
class Transaction {
public:
    explicit Transaction(Connection& connection); ///< begins it; connects again if need be
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
    /// Begins a part of the transaction that is open on `connection`.
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

inline Connection::Connection(std::string address, ConnectionOptions options, SteadyClock::time_point end)
    : address_{std::move(address)}, options_{std::move(options)}, end_{end}
{
    escqrs::detail::check_at_least(escqrs::detail::not_zero, options_.answer_timeout, "answer_timeout");
    detail::require_connection_string(address_);
    connect();
}

inline void Connection::connect()
{
    const detail::ConnectLimits limits = detail::connect_limits(address_, options_.answer_timeout);
    detail::AnswerLimit limit = limit_of(limits.in_all);
    try {
        handle_ = detail::connect_within(address_, limits.of_a_host, limit);
    } catch (const std::system_error& error) {
        handle_.reset();
        fail("cannot connect", error.what(), "");
    }
    if (!handle_) {
        if (where_ == "?") where_ = detail::place_of(address_);
        fail_by_silence("cannot connect", limit.at_most());
    }
    const auto text = [](const char* given) { return std::string{given == nullptr ? "" : given}; };
    where_ = text(PQhost(handle())) + ':' + text(PQport(handle())) + '/' + text(PQdb(handle()));
    if (is_lost()) fail("cannot connect", PQerrorMessage(handle()), "");
    PQsetNoticeProcessor(
        handle(), [](void*, const char*) {}, nullptr); // libpq would write them to stderr
    static std::atomic<std::uint64_t> generations{0};
    generation_ = ++generations;
    released_ = std::make_shared<std::string>(); // earlier ones are gone with their connection
    if (set_up_.empty()) return;
    try {
        execute(set_up_);
    } catch (...) {
        close(); // rather than continue without it
        throw;
    }
}

inline void Connection::ensure_connected()
{
    if (!is_lost()) return;
    if (is_within_transaction_) fail("the transaction is lost", "the connection was lost", "");
    connect();
}

inline void Connection::execute(const std::string& sql)
{
    send([&](PGconn* handle) { return PQsendQuery(handle, sql.c_str()); }, sql);
    check(last_result(sql).release(), sql);
}

template <class Queue>
void Connection::send(Queue queue, std::string_view what)
{
    ensure_connected();
    // In blocking mode libpq would wait without end for a server that does not take what is sent.
    PQsetnonblocking(handle(), 1);
    int left = queue(handle()) == 1 ? PQflush(handle()) : -1;
    while (left == 1) {
        wait_for_socket(POLLIN | POLLOUT, what);
        left = PQconsumeInput(handle()) == 1 ? PQflush(handle()) : -1;
    }
    PQsetnonblocking(handle(), 0);
    if (left != 0) check(nullptr, what);
}

inline detail::Result Connection::next_result(std::string_view what)
{
    while (PQisBusy(handle()) != 0 && take_in(what)) {}
    return detail::Result{PQgetResult(handle())};
}

inline detail::Result Connection::last_result(std::string_view what)
{
    detail::Result last;
    while (detail::Result result = next_result(what)) {
        last = std::move(result);
        const auto status = PQresultStatus(last.get());
        if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH) break;
    }
    return last;
}

inline bool Connection::take_in(std::string_view what)
{
    wait_for_socket(POLLIN, what);
    return PQconsumeInput(handle()) == 1;
}

inline void Connection::wait_for_socket(short events, std::string_view what)
{
    using std::chrono::milliseconds;
    constexpr milliseconds longest{std::numeric_limits<int>::max()};
    if (PQsocket(handle()) < 0) return; // libpq has closed it, and has its message
    detail::AnswerLimit limit = limit_of(options_.answer_timeout);
    for (Duration slice = limit.next();; slice = limit.next()) {
        pollfd socket{PQsocket(handle()), events, 0};
        const int found =
            poll(&socket, 1, static_cast<int>(std::min(std::chrono::ceil<milliseconds>(slice), longest).count()));
        if (found > 0 || (found < 0 && errno != EINTR)) return; // libpq finds out about errors
        if (slice == Duration::zero()) break;
    }
    shutdown(PQsocket(handle()), SHUT_RDWR); // so that libpq, which says goodbye, does not wait
    close();
    fail_by_silence(what, limit.at_most());
}

inline void Connection::fail_by_silence(std::string_view what, Duration silence) const
{
    const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(silence).count();
    fail(what, ("the server has not answered within " + std::to_string(milliseconds) + " ms").c_str(), "");
}

inline void Connection::cancel() noexcept
{
    try {
        if (!detail::cancel_within(handle(), limit_of(options_.answer_timeout))) close();
    } catch (...) { // no thread can be started
        close();
    }
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
    connection.execute("BEGIN ISOLATION LEVEL READ COMMITTED");
    connection.is_within_transaction_ = true;
}

inline Transaction::~Transaction()
{
    connection_->is_within_transaction_ = false;
    if (committed_ || connection_->is_lost()) return;
    try {
        connection_->execute("ROLLBACK");
    } catch (...) {
        connection_->close(); // the server rolls back
    }
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
    try {
        connection_->execute("ROLLBACK TO part; RELEASE part");
    } catch (...) {
        connection_->close();
    }
}

} // namespace escqrs::inline v0::postgres
