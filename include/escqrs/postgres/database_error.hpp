// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/error.hpp>

#include <string>
#include <string_view>
#include <utility>

namespace escqrs::postgres {

/// PostgreSQL refused to do something. The text names the server and database, and holds PostgreSQL's own message.
class DatabaseError : public StoreError {
public:
    DatabaseError(const std::string& where, std::string_view what, std::string_view message, std::string state)
        : StoreError{"postgres '" + where + "': " + std::string{what} + ": " + trimmed(message)},
          state_{std::move(state)}
    {
    }

    /// PostgreSQL's five-character code (SQLSTATE, its manual's appendix A); empty if the message is not the server's.
    const std::string& state() const noexcept { return state_; }

    /// Whether it has to do with the moment, not with what was asked: the connection was lost, others were in the way (class 40;
    /// a lock, a cancellation), the server is short of something (class 53), or a standby is taking over (it is read-only).
    virtual bool is_passing() const noexcept
    {
        return state_.starts_with("40") || state_.starts_with("53") || state_ == "55P03" || state_ == "57014" ||
               state_ == "25006";
    }

private:
    static std::string trimmed(std::string_view message)
    {
        while (!message.empty() && message.back() == '\n') message.remove_suffix(1);
        return std::string{message};
    }

    std::string state_;
};

/// The server could not be reached, or went away: what was under way may have been done, or not.
class ConnectionLost : public DatabaseError {
public:
    using DatabaseError::DatabaseError;

    bool is_passing() const noexcept override { return true; }
};

} // namespace escqrs::postgres
