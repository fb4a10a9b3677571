// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/bookmark.hpp>
#include <escqrs/core/identifiers.hpp>

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

// What an SQL database must offer to keep checkpoints, parked streams and read models.
namespace escqrs::inline v0::sql {

/// A connection, prepared statements, their rows, and transactions.
///
/// Values fill the parameters `$1`, `$2`, … of a statement, which appear in it in this order. Transactions and
/// savepoints roll back when they end without `commit`.
template <class Connection, class Statement, class Rows, class Transaction, class Savepoint>
concept Database = requires(Connection& database, Statement& statement, Rows& rows, Transaction& transaction,
                            Savepoint& savepoint, const std::string& text) {
    database.execute(text);
    { database.in_transaction() } -> std::same_as<bool>;
    Statement{database, text};
    {
        statement.run(text, std::int64_t{}, true)
    } -> std::same_as<int>;
    { statement.query(text) } -> std::same_as<Rows>;
    { rows.next() } -> std::same_as<bool>;
    { rows.is_null(0) } -> std::same_as<bool>;
    { rows.integer(0) } -> std::same_as<std::int64_t>;
    { rows.text(0) } -> std::same_as<std::string_view>;
    Transaction{database};
    transaction.commit();
    Savepoint{database};
    savepoint.commit();
};

/// Which tables a part of the read side needs.
enum class Tables : std::uint8_t { checkpoints, stream_checkpoints, parked_streams, read_models };

/// The stored state of a checkpoint.
struct CheckpointState {
    Bookmark mark;               ///< how far the reader has come
    GlobalPosition replay_until; ///< how far it had come before it was last restarted
};

/// What differs between databases: a `Database`, and the texts and locks that are its own.
///
/// - `Place`: where the tables are, so that `Dialect{database, place}` is one; `Owner`: a place, or a lease in one that
///   must be held to move a checkpoint there;
/// - `with(tables)`: creates or upgrades them where that is needed;
/// - `text(sql)`: the library's SQL, in which `{s}.` is before each of its tables, for this database;
/// - `users_text(sql)`, `users_table(name)`: the same for a read model's own tables;
/// - `drop(tables, suffix, views)`: SQL that drops `tables`, with `suffix` in their names, and the views of them;
/// - `grants(tables)`: SQL that restores the rights that others have to the views;
/// - `storable(text)`: a text that the database takes;
/// - `CheckpointRow`: reads, locks and writes a `CheckpointState` (`State`, if it adds to it) under its `name`;
///   `prepare()` is called before a transaction that uses it, and `needs_transaction` says whether `read` needs one;
///   `bookmark_columns` and `bookmark_in(rows, column)` are how a `Bookmark` is selected;
/// - `StreamVersions`: `advance(name, stream, version)` advances a stream's version if the given one is the next;
/// - `Turns`: `take(name)` waits until no other version of the read model is in a transaction.
template <class D>
concept Dialect =
    Database<typename D::Database, typename D::Statement, typename D::Rows, typename D::Transaction,
             typename D::Savepoint> &&
    requires(const D& dialect, std::string_view text, const std::string& name, const std::vector<std::string>& tables,
             typename D::Owner owner, typename D::CheckpointRow& row, typename D::Turns& turns) {
        { dialect.database() } -> std::same_as<typename D::Database&>;
        { dialect.with(Tables::checkpoints) } -> std::same_as<const D&>;
        { dialect.text(text) } -> std::same_as<std::string>;
        { dialect.users_text(text) } -> std::same_as<std::string>;
        { dialect.users_table(name) } -> std::same_as<std::string>;
        { dialect.drop(tables, name, true) } -> std::same_as<std::string>;
        { dialect.grants(tables) } -> std::same_as<std::string>;
        { dialect.storable(text) } -> std::convertible_to<std::string_view>;
        requires std::constructible_from<typename D::CheckpointRow, const D&, std::string, typename D::Owner>;
        { row.read() } -> std::derived_from<CheckpointState>;
        { row.lock() } -> std::same_as<decltype(row.read())>;
        row.write(row.read());
        requires std::constructible_from<typename D::StreamVersions, const D&>;
        requires std::constructible_from<typename D::Turns, const D&>;
        turns.take(name);
    };

/// A statement of the library's own SQL.
template <class Dialect>
typename Dialect::Statement statement(const Dialect& dialect, std::string_view text)
{
    return typename Dialect::Statement{dialect.database(), dialect.text(text)};
}

namespace detail {

inline std::string checkpoint_name(const std::string& read_model, std::int64_t version)
{
    return read_model + "_v" + std::to_string(version);
}

/// The name of the checkpoint of a read model's live version, as a condition on `name`.
inline constexpr const char* live_checkpoint =
    "(SELECT name || '_v' || CAST(version AS text) FROM {s}.read_models WHERE name = $1 AND is_live)";

} // namespace detail

} // namespace escqrs::inline v0::sql
