// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/identifiers.hpp>
#include <escqrs/core/timestamp.hpp>
#include <escqrs/projections/advance.hpp>
#include <escqrs/projections/sql/dialect.hpp>
#include <escqrs/projections/sql/stream_checkpoint.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

namespace escqrs::inline v0::sql {

namespace detail {

/// A transaction, or a part of one, of a database that is chosen at run time.
template <class AnyDatabase, class... Scopes>
class AnyScope {
public:
    explicit AnyScope(const AnyDatabase& database)
    {
        database.visit_dialect([this]<class Dialect>(const Dialect& dialect) {
            constexpr std::size_t index = AnyDatabase::template index_of<Dialect>() + 1;
            scope_.template emplace<index>(dialect.database());
        });
    }

    void commit()
    {
        std::visit(
            [](auto& scope) {
                if constexpr (requires { scope.commit(); }) scope.commit();
            },
            scope_);
    }

private:
    std::variant<std::monostate, Scopes...> scope_;
};

} // namespace detail

/// Refers to one of several databases, chosen at run time; it does not own it. With PostgreSQL the dialect carries the
/// schema: `AnyDatabase<sqlite::Dialect, postgres::Dialect>{postgres::Dialect{connection, "conference"}}`.
///
/// The nested classes have the verbs of each database's own. SQL must be valid in all of them; parameters `$1`, `$2`, …
/// must appear in this order, because SQLite numbers them as they appear.
/// @par Thread safety  as its database: one thread at a time
template <class... Dialects>
class AnyDatabase {
public:
    class Rows;
    class Statement;
    class StreamCheckpoint;

    /// Rolls back when it ends without `commit`.
    using Transaction = detail::AnyScope<AnyDatabase, typename Dialects::Transaction...>;

    /// A part of a transaction that can be undone alone. Rolls back when it ends without `commit`.
    using Savepoint = detail::AnyScope<AnyDatabase, typename Dialects::Savepoint...>;

    /// @param database  a database, or a dialect, of one of the kinds
    template <class Given>
        requires(!std::same_as<std::remove_cvref_t<Given>, AnyDatabase> &&
                 std::constructible_from<std::variant<Dialects...>, Given>)
    AnyDatabase(Given&& database) // NOLINT(google-explicit-constructor, bugprone-forwarding-reference-overload)
        : dialect_{std::forward<Given>(database)}
    {
    }

    /// True while a transaction is open on the connection.
    bool in_transaction() const
    {
        return visit([](auto& database) { return database.in_transaction(); });
    }

    /// Runs one or more statements that return nothing.
    void execute(const std::string& sql) const
    {
        visit([&](auto& database) { database.execute(sql); });
    }

    /// The first column of the first row, as a number; 0 if there is none.
    std::int64_t query_integer(const std::string& sql) const
    {
        Statement select{*this, sql};
        auto rows = select.query();
        return rows.next() ? rows.integer(0) : 0;
    }

    /// Calls `use(database)` with what it refers to.
    template <class Use>
    decltype(auto) visit(Use use) const
    {
        return visit_dialect([&](const auto& dialect) -> decltype(auto) { return use(dialect.database()); });
    }

    /// Calls `use(dialect)`.
    template <class Use>
    decltype(auto) visit_dialect(Use use) const
    {
        return std::visit(use, dialect_);
    }

    /// The index of `Dialect` among the kinds.
    template <class Dialect>
    static constexpr std::size_t index_of()
    {
        constexpr bool found[] = {std::same_as<Dialect, Dialects>...}; // NOLINT(modernize-avoid-c-arrays)
        std::size_t index = 0;
        while (!found[index]) ++index;
        return index;
    }

private:
    std::variant<Dialects...> dialect_;
};

/// The rows of a query's answer. Views are valid until the next row.
template <class... Dialects>
class AnyDatabase<Dialects...>::Rows {
public:
    /// Moves to the next row, at first to the first one; false if there is none.
    bool next()
    {
        return std::visit([](auto& rows) { return rows.next(); }, rows_);
    }
    /// Columns of this row, from 0.
    /// @{
    bool is_null(int column) const
    {
        return std::visit([column](const auto& rows) { return rows.is_null(column); }, rows_);
    }
    std::int64_t integer(int column) const
    {
        return std::visit([column](const auto& rows) { return rows.integer(column); }, rows_);
    }
    std::string_view text(int column) const
    {
        return std::visit([column](const auto& rows) { return rows.text(column); }, rows_);
    }
    Timestamp time(int column) const
    {
        return std::visit([column](const auto& rows) { return rows.time(column); }, rows_);
    }
    /// @}

private:
    friend Statement;
    using Either = std::variant<typename Dialects::Rows...>;
    explicit Rows(Either rows) : rows_{std::move(rows)} {}

    Either rows_;
};

/// A statement, made once and run often. It must not outlive its connection.
template <class... Dialects>
class AnyDatabase<Dialects...>::Statement {
public:
    /// @param database  its connection must outlive the statement
    Statement(const AnyDatabase& database, const std::string& sql)
        : statement_{database.visit_dialect([&]<class Dialect>(const Dialect& dialect) -> Either {
              return typename Dialect::Statement{dialect.database(), sql};
          })}
    {
    }

    /// @return number of rows it changed
    template <class... Values>
    int run(const Values&... values)
    {
        return std::visit([&](auto& statement) { return statement.run(values...); }, statement_);
    }

    /// Runs a query.
    template <class... Values>
    [[nodiscard]] Rows query(const Values&... values)
    {
        return std::visit([&](auto& statement) { return Rows{statement.query(values...)}; }, statement_);
    }

private:
    using Either = std::variant<typename Dialects::Statement...>;

    Either statement_;
};

/// How far each stream has been applied to a read model: `sql::StreamCheckpoint`.
template <class... Dialects>
class AnyDatabase<Dialects...>::StreamCheckpoint {
public:
    /// Of the read model `projection`; creates its table if there is none.
    StreamCheckpoint(const AnyDatabase& database, const std::string& projection)
        : checkpoint_{database.visit_dialect([&]<class Dialect>(const Dialect& dialect) -> Either {
              return sql::StreamCheckpoint<Dialect>{dialect, projection};
          })}
    {
    }

    /// As `sql::StreamCheckpoint`.
    /// @{
    Advance advance(const StreamId& stream, StreamVersion version)
    {
        return std::visit([&](auto& checkpoint) { return checkpoint.advance(stream, version); }, checkpoint_);
    }
    StreamVersion version_of(const StreamId& stream)
    {
        return std::visit([&](auto& checkpoint) { return checkpoint.version_of(stream); }, checkpoint_);
    }
    void clear()
    {
        std::visit([](auto& checkpoint) { checkpoint.clear(); }, checkpoint_);
    }
    /// @}

private:
    using Either = std::variant<sql::StreamCheckpoint<Dialects>...>;

    Either checkpoint_;
};

} // namespace escqrs::inline v0::sql
