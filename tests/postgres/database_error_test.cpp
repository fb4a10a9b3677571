// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#include <escqrs/postgres/database_error.hpp>

#include <escqrs/testing/catch2.hpp>

#include <string>

using escqrs::FailureKind;
using escqrs::postgres::ConnectionLost;
using escqrs::postgres::DatabaseError;

TEST_CASE("postgres: each SQLSTATE says whether the work, the moment or the server is at fault")
{
    using enum FailureKind;
    const auto [state, kind] = GENERATE(table<std::string, FailureKind>({
        {"21000", refused},     // a subquery gives several rows
        {"22001", refused},     // text too long
        {"22012", refused},     // division by zero
        {"22P05", refused},     // a character that the encoding does not have
        {"23505", refused},     // unique constraint
        {"23514", refused},     // check constraint
        {"25P02", refused},     // after a failure that the program has not heeded
        {"42601", refused},     // syntax
        {"42703", refused},     // no such column
        {"44000", refused},     // WITH CHECK OPTION of a view
        {"54000", refused},     // a limit of the server
        {"P0001", refused},     // RAISE EXCEPTION in a trigger
        {"08006", interrupted}, // connection
        {"40001", interrupted}, // serialization
        {"40P01", interrupted}, // deadlock
        {"55P03", interrupted}, // lock timeout
        {"57014", interrupted}, // cancelled
        {"57P01", interrupted}, // shut down
        {"57P03", interrupted}, // starting
        {"25006", unavailable}, // read-only
        {"53100", unavailable}, // disk full
        {"53200", unavailable}, // out of memory
        {"53300", unavailable}, // too many connections
        {"3F000", broken},      // no such schema
        {"42501", broken},      // no right
        {"42P01", broken},      // no such table
        {"58030", broken},      // input or output
        {"XX000", broken},      // internal
        {"XX001", broken},      // damaged data
        {"", broken},           // not the server's
    }));
    CAPTURE(state);
    const DatabaseError error{"localhost:5432/test", "INSERT", "message", state};
    CHECK(escqrs::classify(error) == kind);
    CHECK(error.is_passing() == (kind == interrupted || kind == unavailable));
    const ConnectionLost lost{"localhost:5432/test", "INSERT", "message", state};
    CHECK(escqrs::classify(lost) == interrupted);
}
