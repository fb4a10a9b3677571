// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/sqlite/detail/open_transactions.hpp>

#include <string>

namespace escqrs::inline v0::sqlite {

class Database;

/// A write transaction. Rolls back when it ends without `commit`.
///
/// It takes the write lock at once: a transaction that read first and wrote later could not wait for another writer.
class Transaction {
public:
    /// @throws DatabaseError at once if this thread has one open on the same file already, through another connection
    explicit Transaction(Database& database);
    Transaction(const Transaction&) = delete;
    Transaction& operator=(const Transaction&) = delete;
    ~Transaction();

    /// Makes durable what was written.
    /// @throws DatabaseError and the destructor rolls back
    void commit();

private:
    static std::string checked_file(const Database& database);

    Database* database_;
    detail::OpenTransaction open_;
    bool committed_ = false;
};

/// A part of a transaction that can be undone alone. Rolls back when it ends without `commit`.
class Savepoint {
public:
    /// Begins a part of the transaction that is open on `database`.
    explicit Savepoint(Database& database);
    Savepoint(const Savepoint&) = delete;
    Savepoint& operator=(const Savepoint&) = delete;
    ~Savepoint();

    /// Makes what was written part of the transaction around it.
    void commit();

private:
    Database* database_;
    bool committed_ = false;
};

} // namespace escqrs::inline v0::sqlite
