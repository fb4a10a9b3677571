// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/error.hpp>

#include <sqlite3.h>

#include <string>
#include <string_view>

namespace escqrs::inline v0::sqlite {

namespace detail {
/// Extended result code of the error of `OpenTransactions`; SQLite's own ones of SQLITE_BUSY are far smaller.
inline constexpr int waits_for_itself = SQLITE_BUSY | 0x7F00;
} // namespace detail

/// What an extended result code of SQLite (https://www.sqlite.org/rescode.html) says about the work that failed.
constexpr FailureKind classify(int code) noexcept
{
    if (code == detail::waits_for_itself) return FailureKind::refused;
    switch (code & 0xFF) {
    case SQLITE_ERROR: // of a statement
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_RANGE:
    case SQLITE_TOOBIG: return FailureKind::refused;
    case SQLITE_ABORT:
    case SQLITE_BUSY:
    case SQLITE_INTERRUPT:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
    case SQLITE_SCHEMA: return FailureKind::interrupted;
    case SQLITE_CANTOPEN:
    case SQLITE_FULL:
    case SQLITE_IOERR:
    case SQLITE_NOMEM:
    case SQLITE_READONLY: return FailureKind::unavailable;
    default: return FailureKind::broken;
    }
}

/// SQLite refused to do something. The text names the file and holds SQLite's own message.
class ESCQRS_EXPORT DatabaseError : public StoreError {
public:
    DatabaseError(const std::string& path, std::string_view what, int code, const char* message)
        : StoreError{"sqlite '" + path + "': " + std::string{what} + ": " + message + " (code " + std::to_string(code) +
                     ")"},
          code_{code}
    {
    }
    DatabaseError(const std::string& text, int code) : StoreError{text}, code_{code} {}

    /// SQLite's extended result code.
    int code() const noexcept { return code_; }

    FailureKind failure_kind() const noexcept override { return classify(code_); }

private:
    int code_;
};

} // namespace escqrs::inline v0::sqlite
