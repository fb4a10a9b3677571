// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/error.hpp>

#include <string>
#include <string_view>
#include <utility>

namespace escqrs::inline v0::postgres {

/// What a code of PostgreSQL (SQLSTATE, its manual's appendix A) says about the work that failed.
constexpr FailureKind classify(std::string_view state) noexcept
{
    using enum FailureKind;
    const std::string_view kind = state.substr(0, 2);
    // Connections; transactions that were chosen to give way; a lock, a cancellation; shut down, crashed, starting.
    if (kind == "08" || kind == "40" || state == "55P03" || state == "57014") return interrupted;
    if (state == "57P01" || state == "57P02" || state == "57P03") return interrupted;
    // The server is short of something, the disk included, or is a standby that is taking over.
    if (kind == "53" || state == "25006") return unavailable;
    // A right, a table or a schema is missing: the database is not set up for the program, whatever it writes.
    if (state == "42501" || state == "42P01" || state == "3F000") return broken;
    // Data, constraints, statements, limits, a trigger's own refusal; or one of these before, which the program has not
    // heeded.
    if (kind == "21" || kind == "22" || kind == "23" || kind == "42" || kind == "44" || kind == "54") return refused;
    if (kind == "P0" || state == "25P02") return refused;
    return broken;
}

/// PostgreSQL refused to do something. The text names the server and database, and holds PostgreSQL's own message.
class ESCQRS_EXPORT DatabaseError : public StoreError {
public:
    DatabaseError(const std::string& where, std::string_view what, std::string_view message, std::string state)
        : StoreError{"postgres '" + where + "': " + std::string{what} + ": " + trimmed(message)},
          state_{std::move(state)}
    {
    }

    /// PostgreSQL's five-character code; empty if the message is not the server's.
    const std::string& state() const noexcept { return state_; }

    FailureKind failure_kind() const noexcept override { return classify(state_); }

    /// Whether it has to do with the moment: the same work may succeed, at once or later.
    bool is_passing() const noexcept
    {
        return failure_kind() == FailureKind::interrupted || failure_kind() == FailureKind::unavailable;
    }

private:
    static std::string trimmed(std::string_view message)
    {
        while (!message.empty() && message.back() == '\n') message.remove_suffix(1);
        return std::string{message};
    }

    std::string state_;
};

/// The server could not be reached, or the connection was lost: what was under way may have been done, or not.
class ESCQRS_EXPORT ConnectionLost : public DatabaseError {
public:
    using DatabaseError::DatabaseError;

    FailureKind failure_kind() const noexcept override { return FailureKind::interrupted; }
};

} // namespace escqrs::inline v0::postgres
