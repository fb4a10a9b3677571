// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/sqlite/database.hpp>

#include <sqlite3.h>

#include <string>

// How `Transaction` and `Savepoint` begin and end.
namespace escqrs::sqlite {

/// Waits for as long as SQLite would for its write lock.
inline void Database::take_turn()
{
    check_process();
    for (int attempts = 0; hold_ && !hold_->try_turn(); ++attempts) {
        if (wait_while_busy(this, attempts) != 0) continue;
        throw DatabaseError{path_, "BEGIN IMMEDIATE", SQLITE_BUSY, sqlite3_errstr(SQLITE_BUSY)};
    }
}

inline void Database::end_turn() noexcept
{
    if (hold_) hold_->end_turn();
}

inline std::string Transaction::checked_file(const Database& database)
{
    database.check_process(); // of a fork's mutexes, some may have no owner any more
    std::string file = database.file();
    if (!database.in_transaction()) detail::OpenTransactions::of_process().check(file, database.path());
    return file;
}

inline Transaction::Transaction(Database& database) : database_{&database}, open_{checked_file(database)}
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

inline Transaction::~Transaction()
{
    if (committed_ || database_->is_inherited()) return;
    ++database_->rollbacks_;
    // A full disk, for example, makes SQLite roll back by itself.
    if (database_->in_transaction()) sqlite3_exec(database_->handle(), "ROLLBACK", nullptr, nullptr, nullptr);
    database_->end_turn();
}

inline void Transaction::commit()
{
    database_->execute("COMMIT");
    committed_ = true;
    database_->end_turn();
    open_.end();
}

inline Savepoint::Savepoint(Database& database) : database_{&database} { database.execute("SAVEPOINT part"); }

inline void Savepoint::commit()
{
    database_->execute("RELEASE part");
    committed_ = true;
}

inline Savepoint::~Savepoint()
{
    if (committed_ || database_->is_inherited()) return;
    ++database_->rollbacks_;
    if (!database_->in_transaction()) return; // undone as a whole
    sqlite3_exec(database_->handle(), "ROLLBACK TO part; RELEASE part", nullptr, nullptr, nullptr);
}

} // namespace escqrs::sqlite
