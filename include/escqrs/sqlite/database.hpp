// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/config.hpp>
#include <escqrs/core/check_option.hpp>
#include <escqrs/core/error.hpp>
#include <escqrs/core/timestamp.hpp>
#include <escqrs/sqlite/database_error.hpp>
#include <escqrs/sqlite/detail/file_hold.hpp>
#include <escqrs/sqlite/detail/file_path.hpp>
#include <escqrs/sqlite/detail/log_checkpoint.hpp>
#include <escqrs/sqlite/statement.hpp>
#include <escqrs/sqlite/transaction.hpp>

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace escqrs::inline v0::sqlite {

/// How much a commit waits for the disk.
enum class Synchronous : std::uint8_t {
    /// A commit survives the death of the process and a power cut.
    full,
    /// A commit survives the death of the process; a power cut may undo the last ones, whole and in order.
    normal,
};

/// How a connection to a file commits and waits.
struct DatabaseOptions {
    Synchronous synchronous = Synchronous::full; ///< what a commit survives
    /// How long to wait for another connection's write to end.
    Duration busy_timeout = std::chrono::seconds{10};
};

/// What a file must hold. The version is in SQLite's `user_version`, the kind of file in its `application_id`.
struct Schema {
    std::string_view name;       ///< for error messages: "event store"
    std::int32_t application_id; ///< of the kind of file
    std::int32_t version;        ///< newest one that the program knows
    /// Creates the oldest version that can be upgraded, in an empty file.
    const char* sql;
    /// Each makes the next version, the last of them `version`.
    std::span<const char* const> upgrades = {};
};

class Database;

/// Asks for another connection to the file that `database` has open.
struct SameFile {
    const Database& database; ///< must be open
};

/// A connection to an SQLite file, in write-ahead-log mode, with foreign keys enforced.
///
/// Every commit checks first that the file and its log are still those that were opened, and that this is the process
/// that opened them; if not, it throws a `StoreError` and nothing is committed. While the connection is open, no other
/// process takes its connection for the last one, even if this process opens and closes the file by other means, which
/// ends SQLite's locks.
///
/// The log is moved into the file as it grows, and begun anew. If readers never let that happen, a commit waits a
/// moment for them once the log has reached 32 MiB.
/// @par Thread safety  one thread at a time; use a connection per thread, or a `GroupCommit`
class Database {
public:
    /// Opens or creates any SQLite file. The path is made absolute here, once, and is never taken for a URI.
    /// @param path  ":memory:" makes a database that this connection alone can see, and that ends with it
    /// @throws StoreError if that is impossible, or the file is something else, or the path begins with "file:"
    explicit Database(const std::string& path, DatabaseOptions options = {});

    /// Opens a file of this schema, or creates it, or upgrades it from an older version. Any number of processes may do
    /// so at once.
    /// @throws StoreError as above, and if the file is another kind of database, or of a version that there is no
    ///         upgrade from; nothing in the file is changed then. Also if `path` is ":memory:"
    Database(const std::string& path, const Schema& schema, DatabaseOptions options = {});

    /// Opens another connection to a file that is open, with the same options. Creates nothing.
    /// @throws StoreError if that is impossible, or the path leads to another file by now
    explicit Database(SameFile same);

    Database(const Database&) = delete;
    Database& operator=(const Database&) = delete;
    ~Database();

    /// The absolute path of the file.
    const std::string& path() const noexcept { return path_; }
    sqlite3* handle() const noexcept { return handle_.get(); } ///< SQLite's own; this object closes it

    /// The whole name of the file, the same for all connections to it; empty for a database in memory.
    std::string file() const
    {
        const char* const name = sqlite3_db_filename(handle(), "main");
        return name == nullptr ? std::string{} : std::string{name};
    }

    /// Runs one or more statements that return nothing.
    void execute(const char* sql);
    /// The same.
    void execute(const std::string& sql) { execute(sql.c_str()); }

    /// The first column of the first row, as a number; 0 if there is none.
    std::int64_t query_integer(const char* sql);

    /// Row id of the last INSERT on this connection; 0 before the first.
    std::int64_t last_insert_rowid() const noexcept { return sqlite3_last_insert_rowid(handle()); }

    /// Rows that INSERT, UPDATE and DELETE have written since the connection was opened.
    std::int64_t total_changes() const noexcept { return sqlite3_total_changes(handle()); }

    /// True from BEGIN to the end of the transaction.
    bool in_transaction() const noexcept { return sqlite3_get_autocommit(handle()) == 0; }

    /// Transactions begun, and transactions and parts undone: they show whether what a caller remembers of its writes
    /// still holds.
    std::uint64_t transactions() const noexcept { return transactions_; }
    std::uint64_t rollbacks() const noexcept { return rollbacks_; } ///< undone; see `transactions`

    /// Checks that the file and its log are those that were opened, as every commit does. For callers that only wait
    /// and read.
    /// @throws DatabaseError if they are not, or if this process is a fork of the one that opened them
    /// @par Thread safety  may be called from any thread
    void check_file() const
    {
        if (hold_) hold_->check();
    }

    /// @throws DatabaseError if this process is a fork of the one that opened the file; SQLite cannot be used in both
    void check_process() const
    {
        if (hold_) hold_->check_process();
    }

    /// @throws DatabaseError with the message and code of the call that has just failed
    [[noreturn]] void fail(std::string_view what) const;

private:
    friend class Transaction;
    friend class Savepoint;

    struct Close {
        void operator()(sqlite3* handle) const noexcept { sqlite3_close_v2(handle); }
    };

    static int wait_while_busy(void* self, int attempts) noexcept;
    static int before_commit(void* self) noexcept;
    static int after_commit(void* self, sqlite3* handle, const char* name, int log_pages) noexcept;
    void open(int flags);
    void hold();
    void take_turn();
    void end_turn() noexcept;
    bool is_inherited() const noexcept { return hold_ && hold_->is_inherited(); }
    std::int32_t schema_version(const Schema& schema);
    void create_or_upgrade(const Schema& schema);
    void enter_wal_mode();

    /// Runs `step` again while another connection is creating, recovering or closing the file: for those locks SQLite
    /// does not wait by itself.
    template <class Step>
    auto while_file_is_busy(Step step)
    {
        for (int attempts = 0;; ++attempts) {
            try {
                return step();
            } catch (const DatabaseError& error) {
                if ((error.code() & 0xFF) != SQLITE_BUSY || wait_while_busy(this, attempts) == 0) throw;
            }
        }
    }

    std::string path_;
    DatabaseOptions options_;
    detail::LogCheckpoint checkpoint_;
    /// Why the commit that is failing is refused.
    std::optional<DatabaseError> refusal_;
    std::optional<detail::FileHold> hold_; ///< none in memory
    std::unique_ptr<sqlite3, Close> handle_;
    std::uint64_t transactions_ = 0;
    std::uint64_t rollbacks_ = 0;
};

#if ESCQRS_HAS_BODIES

ESCQRS_INLINE Database::Database(const std::string& path, DatabaseOptions options)
    : path_{path == ":memory:" ? path : detail::absolute_path(path)}, options_{options}
{
    open(SQLITE_OPEN_CREATE);
    enter_wal_mode();
    hold();
}

ESCQRS_INLINE Database::Database(const std::string& path, const Schema& schema, DatabaseOptions options)
    : path_{detail::absolute_path(path)}, options_{options}
{
    open(SQLITE_OPEN_CREATE);
    const std::int32_t found = while_file_is_busy([&] { return schema_version(schema); });
    enter_wal_mode();
    if (found != schema.version) create_or_upgrade(schema);
    hold();
}

ESCQRS_INLINE Database::Database(SameFile same) : path_{same.database.path_}, options_{same.database.options_}
{
    same.database.check_file();
    open(0);
    enter_wal_mode();
    hold();
    same.database.check_file();
}

ESCQRS_INLINE Database::~Database()
{
    if (!hold_) return;
    // In a fork the file is the other process's: closing it here would write into it.
    if (hold_->is_inherited()) static_cast<void>(handle_.release());
    else hold_->unlock();
}

ESCQRS_INLINE void Database::create_or_upgrade(const Schema& schema)
{
    Transaction transaction{*this};
    const std::int32_t found = schema_version(schema); // another process may have been faster
    if (found == schema.version) return;
    auto missing = schema.upgrades;
    if (found == 0) {
        execute(schema.sql);
        execute(("PRAGMA application_id = " + std::to_string(schema.application_id)).c_str());
    } else {
        missing = missing.last(static_cast<std::size_t>(schema.version - found));
    }
    for (const char* const upgrade : missing) execute(upgrade);
    execute(("PRAGMA user_version = " + std::to_string(schema.version)).c_str());
    transaction.commit();
}

ESCQRS_INLINE void Database::open(int flags)
{
    escqrs::detail::check_at_least(escqrs::detail::not_negative, options_.busy_timeout, "busy_timeout");
    if (sqlite3_threadsafe() == 0) throw StoreError{"this SQLite library was built without thread safety"};
    sqlite3* opened = nullptr;
    const int code =
        sqlite3_open_v2(path_.c_str(), &opened, flags | SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
    handle_.reset(opened);
    if (opened == nullptr) throw DatabaseError{path_, "cannot open", code, sqlite3_errstr(code)};
    sqlite3_extended_result_codes(handle(), 1);
    if (code != SQLITE_OK) fail("cannot open");
    // Until the file is known to be ours, closing it must not even move another program's log into its database.
    sqlite3_db_config(handle(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
    sqlite3_busy_handler(handle(), &Database::wait_while_busy, this);
    if (path_ != ":memory:") {
        path_ = sqlite3_db_filename(handle(), "main"); // symbolic links resolved: the log is next to it
        hold_.emplace(path_);
    }
    while_file_is_busy([this] {
        const char* const look = "SELECT 1 FROM sqlite_schema LIMIT 1";
        if (sqlite3_exec(handle(), look, nullptr, nullptr, nullptr) != SQLITE_OK) fail("expected an SQLite database");
    });
    execute("PRAGMA foreign_keys = ON");
    execute(options_.synchronous == Synchronous::full ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL");
}

/// Call it when the file is open, with its log: makes sure that it is the file of the path, and that it stays in use.
ESCQRS_INLINE void Database::hold()
{
    if (!hold_) return;
    execute("SELECT 1 FROM sqlite_schema LIMIT 1");
    int has_moved = 0;
    sqlite3_file_control(handle(), "main", SQLITE_FCNTL_HAS_MOVED, &has_moved);
    if (has_moved != 0) throw DatabaseError{path_, "cannot open", SQLITE_READONLY_DBMOVED, "the file has moved"};
    hold_->lock();
    hold_->check();
    sqlite3_commit_hook(handle(), &Database::before_commit, this);
}

/// SQLite's own handler sleeps up to 100 ms at a time, in which a busy process takes the lock again many times over.
ESCQRS_INLINE int Database::wait_while_busy(void* self, int attempts) noexcept
{
    const auto& database = *static_cast<const Database*>(self);
    if (std::chrono::milliseconds{attempts} >= database.options_.busy_timeout) return 0;
    sqlite3_sleep(1);
    return 1;
}

/// @return other than 0 makes SQLite roll back instead; `fail` says why
ESCQRS_INLINE int Database::before_commit(void* self) noexcept
{
    auto& database = *static_cast<Database*>(self);
    try {
        database.hold_->check_write();
        return 0;
    } catch (const DatabaseError& error) {
        database.refusal_ = error;
    } catch (...) { // no memory for the text
        database.refusal_.reset();
    }
    return 1;
}

/// Takes the place of SQLite's automatic checkpoint, which by itself never waits for readers.
ESCQRS_INLINE int Database::after_commit(void* self, sqlite3* handle, const char* /*name*/, int log_pages) noexcept
{
    auto& database = *static_cast<Database*>(self);
    if (database.hold_) database.checkpoint_.after_commit(handle, *database.hold_, log_pages);
    return SQLITE_OK; // the commit has succeeded, even if the log could not be moved
}

/// @return the version of the schema in the file, which is this one or can be upgraded to it; 0 for a new file
ESCQRS_INLINE std::int32_t Database::schema_version(const Schema& schema)
{
    // One statement, so that all three are of one moment: another process may be creating the file.
    Statement statement{*this, "SELECT application_id, user_version, (SELECT count(*) FROM sqlite_schema) "
                               "FROM pragma_application_id, pragma_user_version"};
    auto rows = statement.query();
    if (!rows.next()) return 0;
    const std::int64_t application_id = rows.integer(0);
    const std::int64_t version = rows.integer(1);
    if (application_id == 0 && version == 0 && rows.integer(2) == 0) return 0;

    const auto refuse = [&](const std::string& problem) { return StoreError{"sqlite '" + path_ + "': " + problem}; };
    const std::string name{schema.name};
    if (application_id != schema.application_id) {
        throw refuse("not an escqrs " + name + ": expected application id " + std::to_string(schema.application_id) +
                     ", found " + std::to_string(application_id));
    }
    if (version > schema.version || version < schema.version - std::ssize(schema.upgrades)) {
        throw refuse("the " + name + " has another schema: expected version " + std::to_string(schema.version) +
                     ", found " + std::to_string(version) +
                     (version > schema.version ? "; a newer program wrote it" : ""));
    }
    return static_cast<std::int32_t>(version);
}

ESCQRS_INLINE void Database::enter_wal_mode()
{
    while_file_is_busy([this] { // only one connection can change the mode
        Statement statement{*this, "PRAGMA journal_mode = WAL"};
        auto rows = statement.query();
        const std::string mode{rows.next() ? rows.text(0) : ""};
        if (mode == "wal" || mode == "memory") return;
        throw StoreError{"sqlite '" + path_ + "': expected journal mode 'wal', found '" + mode + "'"};
    });
    execute(("PRAGMA journal_size_limit = " + std::to_string(detail::LogCheckpoint::long_pages * 4096)).c_str());
    sqlite3_db_config(handle(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, nullptr);
    sqlite3_wal_hook(handle(), &Database::after_commit, this);
}

ESCQRS_INLINE void Database::execute(const char* sql)
{
    check_process();
    if (sqlite3_exec(handle(), sql, nullptr, nullptr, nullptr) != SQLITE_OK) fail(sql);
}

ESCQRS_INLINE std::int64_t Database::query_integer(const char* sql)
{
    Statement statement{*this, sql};
    auto rows = statement.query();
    return rows.next() ? rows.integer(0) : 0;
}

ESCQRS_INLINE void Database::fail(std::string_view what) const
{
    if (sqlite3_extended_errcode(handle()) == SQLITE_CONSTRAINT_COMMITHOOK && refusal_) throw DatabaseError{*refusal_};
    throw DatabaseError{path_, what, sqlite3_extended_errcode(handle()), sqlite3_errmsg(handle())};
}

ESCQRS_INLINE Statement::Statement(Database& database, std::string_view sql) : database_{&database}
{
    begin();
    sqlite3_stmt* prepared = nullptr;
    const int code = sqlite3_prepare_v3(database.handle(), sql.data(), static_cast<int>(sql.size()),
                                        SQLITE_PREPARE_PERSISTENT, &prepared, nullptr);
    if (code != SQLITE_OK) database.fail(sql);
    statement_.reset(prepared);
}

ESCQRS_INLINE void Statement::begin() const { database_->check_process(); }

ESCQRS_INLINE void Statement::fail(const char* what) const { database_->fail(what); }

ESCQRS_INLINE bool Rows::next()
{
    const int code = sqlite3_step(statement_);
    if (code == SQLITE_ROW) return true;
    if (code != SQLITE_DONE) database_->fail(sqlite3_sql(statement_));
    return false;
}

#endif // ESCQRS_HAS_BODIES

} // namespace escqrs::inline v0::sqlite

#include <escqrs/sqlite/detail/transactions.hpp>
