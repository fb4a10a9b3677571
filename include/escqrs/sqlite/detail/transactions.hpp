// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/config.hpp>
#include <escqrs/sqlite/database.hpp>

#include <sqlite3.h>

#include <string>

// How `Transaction` and `Savepoint` begin and end.
namespace escqrs::inline v0::sqlite {

#if ESCQRS_HAS_BODIES

/// Waits for as long as SQLite would for its write lock.
ESCQRS_INLINE void Database::take_turn()
{
    check_process();
    for (int attempts = 0; hold_ && !hold_->try_turn(); ++attempts) {
        if (wait_while_busy(this, attempts) != 0) continue;
        throw DatabaseError{path_, "BEGIN IMMEDIATE", SQLITE_BUSY, sqlite3_errstr(SQLITE_BUSY)};
    }
}

ESCQRS_INLINE void Database::end_turn() noexcept
{
    if (hold_) hold_->end_turn();
}

ESCQRS_INLINE std::string Transaction::checked_file(const Database& database)
{
    database.check_process(); // of a fork's mutexes, some may have no owner any more
    std::string file = database.file();
    if (!database.in_transaction()) detail::OpenTransactions::of_process().check(file, database.path());
    return file;
}

ESCQRS_INLINE Transaction::Transaction(Database& database) : database_{&database}, open_{checked_file(database)}
{
    database.take_turn();
    try {
        database.execute("BEGIN IMMEDIATE");
    } catch (...) {
        if (!database.in_transaction()) database.end_turn();
        throw;
    }
    ++database.transactions_;
}

ESCQRS_INLINE Transaction::~Transaction()
{
    if (committed_ || database_->is_inherited()) return;
    ++database_->rollbacks_;
    // A full disk, for example, makes SQLite roll back by itself.
    if (database_->in_transaction()) sqlite3_exec(database_->handle(), "ROLLBACK", nullptr, nullptr, nullptr);
    database_->end_turn();
}

ESCQRS_INLINE void Transaction::commit()
{
    database_->execute("COMMIT");
    committed_ = true;
    database_->end_turn();
    open_.end();
}

ESCQRS_INLINE Savepoint::Savepoint(Database& database) : database_{&database} { database.execute("SAVEPOINT part"); }

ESCQRS_INLINE void Savepoint::commit()
{
    database_->execute("RELEASE part");
    committed_ = true;
}

ESCQRS_INLINE Savepoint::~Savepoint()
{
    if (committed_ || database_->is_inherited()) return;
    ++database_->rollbacks_;
    if (!database_->in_transaction()) return; // undone as a whole
    sqlite3_exec(database_->handle(), "ROLLBACK TO part; RELEASE part", nullptr, nullptr, nullptr);
}

#endif // ESCQRS_HAS_BODIES

} // namespace escqrs::inline v0::sqlite
