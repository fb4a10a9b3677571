// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <escqrs/sqlite/database_error.hpp>

#include <escqrs/testing/catch2.hpp>

#include <string>
#include <utility>

using escqrs::FailureKind;
using escqrs::sqlite::DatabaseError;

TEST_CASE("sqlite: each result code says whether the work, the moment or the file is at fault")
{
    using enum FailureKind;
    const auto [code, kind] = GENERATE(table<int, FailureKind>({
        {SQLITE_ERROR, refused},
        {SQLITE_CONSTRAINT, refused},
        {SQLITE_CONSTRAINT_UNIQUE, refused},
        {SQLITE_CONSTRAINT_TRIGGER, refused},
        {SQLITE_MISMATCH, refused},
        {SQLITE_RANGE, refused},
        {SQLITE_TOOBIG, refused},
        {escqrs::sqlite::detail::waits_for_itself, refused},
        {SQLITE_BUSY, interrupted},
        {SQLITE_BUSY_SNAPSHOT, interrupted},
        {SQLITE_BUSY_RECOVERY, interrupted},
        {SQLITE_LOCKED, interrupted},
        {SQLITE_ABORT_ROLLBACK, interrupted},
        {SQLITE_INTERRUPT, interrupted},
        {SQLITE_PROTOCOL, interrupted},
        {SQLITE_SCHEMA, interrupted},
        {SQLITE_FULL, unavailable},
        {SQLITE_IOERR, unavailable},
        {SQLITE_IOERR_WRITE, unavailable},
        {SQLITE_NOMEM, unavailable},
        {SQLITE_CANTOPEN, unavailable},
        {SQLITE_READONLY, unavailable},
        {SQLITE_READONLY_DBMOVED, unavailable},
        {SQLITE_CORRUPT, broken},
        {SQLITE_NOTADB, broken},
        {SQLITE_PERM, broken},
        {SQLITE_AUTH, broken},
        {SQLITE_MISUSE, broken},
        {SQLITE_INTERNAL, broken},
        {SQLITE_NOLFS, broken},
    }));
    CAPTURE(code);
    const DatabaseError error{"model.db", "INSERT", code, "message"};
    CHECK(escqrs::classify(error) == kind);
}
