// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/config.hpp>
#include <escqrs/core/timestamp.hpp>
#include <escqrs/sqlite/database_error.hpp>

#include <sqlite3.h>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace escqrs::inline v0::sqlite {

class Database;
class Statement;

/// The rows of a running query. The statement is free again when this ends.
class Rows {
public:
    Rows(const Rows&) = delete;
    Rows& operator=(const Rows&) = delete;
    /// Takes over the query; `other` can then only be destroyed.
    Rows(Rows&& other) noexcept : statement_{std::exchange(other.statement_, nullptr)}, database_{other.database_} {}
    ~Rows();

    /// Moves to the next row, at first to the first one.
    /// @return false if there is none
    bool next();

    /// Columns of this row, from 0. Views are valid until the next `next()`.
    /// @{
    bool is_null(int column) const noexcept { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }
    std::int64_t integer(int column) const noexcept { return sqlite3_column_int64(statement_, column); }
    double real(int column) const noexcept { return sqlite3_column_double(statement_, column); }
    std::string_view text(int column) const noexcept;
    std::span<const std::byte> blob(int column) const noexcept;
    Timestamp time(int column) const noexcept { return Timestamp{Duration{integer(column)}}; }
    /// @}

private:
    friend Statement;
    Rows(sqlite3_stmt* statement, const Database& database) noexcept : statement_{statement}, database_{&database} {}

    sqlite3_stmt* statement_;
    const Database* database_;
};

/// A prepared statement, made once and run often. It must not outlive its database.
///
/// Values are bound in order: integers and bool, floating point, text (`std::string_view`), bytes
/// (`std::span<const std::byte>`), moments (as microseconds since 1970) and `nullptr` (NULL). Texts and bytes are not
/// copied; they must live until `run` returns or the `Rows` end.
class Statement {
public:
    /// Prepares `sql`, one statement.
    /// @throws DatabaseError if SQLite refuses it
    Statement(Database& database, std::string_view sql);

    /// Runs an INSERT, UPDATE or DELETE.
    /// @return number of rows it changed
    template <class... Values>
    int run(const Values&... values)
    {
        auto rows = query(values...);
        while (rows.next()) {}
        return sqlite3_changes(sqlite3_db_handle(statement_.get()));
    }

    /// Starts a query. `while (rows.next())` reads it.
    template <class... Values>
    [[nodiscard]] Rows query(const Values&... values)
    {
        begin();
        Rows rows{statement_.get(), *database_};
        int index = 0;
        (check(bind(++index, values)), ...);
        return rows;
    }

private:
    struct Finalize {
        void operator()(sqlite3_stmt* statement) const noexcept { sqlite3_finalize(statement); }
    };

    template <std::integral Value>
    int bind(int index, Value value) noexcept
    {
        return sqlite3_bind_int64(statement_.get(), index, static_cast<sqlite3_int64>(value));
    }
    template <std::floating_point Value>
    int bind(int index, Value value) noexcept
    {
        return sqlite3_bind_double(statement_.get(), index, value);
    }
    int bind(int index, std::string_view text) noexcept;
    int bind(int index, std::span<const std::byte> bytes) noexcept;
    int bind(int index, Timestamp time) noexcept { return bind(index, time.time_since_epoch().count()); }
    int bind(int index, std::nullptr_t) noexcept { return sqlite3_bind_null(statement_.get(), index); }

    void check(int code) const
    {
        if (code != SQLITE_OK) fail("cannot bind a value");
    }
    void begin() const;
    [[noreturn]] void fail(const char* what) const;

    const Database* database_;
    std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

#if ESCQRS_HAS_BODIES

ESCQRS_INLINE Rows::~Rows()
{
    if (statement_ != nullptr) sqlite3_reset(statement_); // its code is that of the last step, which was thrown
}

ESCQRS_INLINE std::string_view Rows::text(int column) const noexcept
{
    const unsigned char* data = sqlite3_column_text(statement_, column);
    const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_, column));
    return data == nullptr ? std::string_view{}
                           : std::string_view{reinterpret_cast<const char*>(data), size}; // NOLINT: char aliases
}

ESCQRS_INLINE std::span<const std::byte> Rows::blob(int column) const noexcept
{
    const void* data = sqlite3_column_blob(statement_, column);
    return {static_cast<const std::byte*>(data), static_cast<std::size_t>(sqlite3_column_bytes(statement_, column))};
}

// A null pointer would be bound as NULL, so empty texts and bytes point at something.
ESCQRS_INLINE int Statement::bind(int index, std::string_view text) noexcept
{
    return sqlite3_bind_text64(statement_.get(), index, text.empty() ? "" : text.data(), text.size(), SQLITE_STATIC,
                               SQLITE_UTF8);
}

ESCQRS_INLINE int Statement::bind(int index, std::span<const std::byte> bytes) noexcept
{
    const void* data = bytes.empty() ? static_cast<const void*>("") : bytes.data();
    return sqlite3_bind_blob64(statement_.get(), index, data, bytes.size(), SQLITE_STATIC);
}

#endif // ESCQRS_HAS_BODIES

} // namespace escqrs::inline v0::sqlite
