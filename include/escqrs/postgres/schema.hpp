// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/core/hex.hpp>
#include <escqrs/postgres/connection.hpp>
#include <escqrs/postgres/statement.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace escqrs::inline v0::postgres {

/// What a part of a database schema must hold. In the texts `{s}` stands for the schema.
struct SchemaPart {
    std::string_view name; ///< "event store"
    /// Each makes the next version, the first of them version 1.
    std::span<const char* const> steps;
};

/// `name` as an SQL identifier.
inline std::string quoted_name(std::string_view name)
{
    std::string text{'"'};
    for (const char character : name) {
        if (character == '"') text += '"';
        text += character;
    }
    return text += '"';
}

/// `text` as an SQL expression of digits: no byte of it means anything to SQL, in whatever encoding or by whatever
/// setting.
inline std::string literal(std::string_view text)
{
    return "pg_catalog.convert_from(pg_catalog.decode('" + to_hex(text) + "', 'hex'), 'UTF8')";
}

/// `text` with the quoted name of `schema` in each place of `{s}`.
inline std::string with_schema(std::string_view text, std::string_view schema)
{
    constexpr std::string_view mark = "{s}";
    const std::string name = quoted_name(schema);
    std::string result;
    while (true) {
        const auto found = text.find(mark);
        result += text.substr(0, found);
        if (found == std::string_view::npos) return result;
        result += name;
        text.remove_prefix(found + mark.size());
    }
}

/// Brings a part of a schema to its newest version: creates it, or takes the steps that are missing, each once, all in
/// one transaction. Any number of processes may do so at once. If nothing is missing, nothing is locked, and no more
/// rights are needed than to read.
/// @throws StoreError if the part is of a newer version than this code knows; nothing is changed then
/// @throws DatabaseError if the rights are missing, or the server cannot do it
void migrate(Connection& connection, std::string_view schema, const SchemaPart& part);

namespace detail {

/// The version of a part; 0 if there is none.
inline std::int64_t version_of(Connection& connection, std::string_view schema, const SchemaPart& part)
{
    // Not to_regclass: that answers from a cache which another's commit may not have reached.
    Statement exists{connection, "SELECT 1 FROM pg_tables WHERE schemaname = $1 AND tablename = 'schema_versions'"};
    if (!exists.query(schema).next()) return 0;
    Statement select{connection, with_schema("SELECT version FROM {s}.schema_versions WHERE part = $1", schema)};
    auto rows = select.query(part.name);
    const std::int64_t version = rows.next() ? rows.integer(0) : 0;
    const auto newest = static_cast<std::int64_t>(part.steps.size());
    if (version > newest) {
        throw StoreError{"postgres '" + connection.where() + "': schema '" + std::string{schema} +
                         "': " + std::string{part.name} + ": expected version " + std::to_string(newest) +
                         " or older, found " + std::to_string(version)};
    }
    return version;
}

/// Lets statements take the time that a large table may need.
class Patience {
public:
    explicit Patience(Connection& connection) : connection_{&connection}, before_{connection.options().answer_timeout}
    {
        connection.set_answer_timeout(std::max<Duration>(before_, std::chrono::hours{1}));
    }
    Patience(const Patience&) = delete;
    Patience& operator=(const Patience&) = delete;
    ~Patience() { connection_->set_answer_timeout(before_); }

private:
    Connection* connection_;
    Duration before_;
};

/// Waits until no other process migrates `schema`, and keeps others from it until the transaction ends.
inline void lock_migration(Connection& connection, std::string_view schema)
{
    // That may take long, by an administrator's standards.
    connection.execute("SET LOCAL lock_timeout = 0; SET LOCAL statement_timeout = 0; "
                       "SET LOCAL idle_in_transaction_session_timeout = 0");
    Statement lock{connection, "SELECT pg_advisory_xact_lock(pg_catalog.hashtextextended($1, 0))"};
    (void)lock.query("escqrs migration of " + std::string{schema});
}

} // namespace detail

inline void migrate(Connection& connection, std::string_view schema, const SchemaPart& part)
{
    if (schema.empty() || schema.find_first_of("'\\") != std::string_view::npos) {
        throw StoreError{"postgres '" + connection.where() +
                         "': expected the name of a schema, without quotation mark and backslash, found '" +
                         std::string{schema} + "'"};
    }
    const auto newest = static_cast<std::int64_t>(part.steps.size());
    if (detail::version_of(connection, schema, part) == newest) return;

    const detail::Patience patience{connection};
    Transaction transaction{connection};
    // Serialises migrations; each takes its snapshot after it has the lock.
    detail::lock_migration(connection, schema);
    const std::int64_t found = detail::version_of(connection, schema, part);
    if (found == 0) {
        // Creating a schema "if not exists" needs the right to create one, whether it exists or not.
        Statement exists{connection, "SELECT 1 FROM pg_namespace WHERE nspname = $1"};
        if (!exists.query(schema).next()) connection.execute("CREATE SCHEMA " + quoted_name(schema));
        connection.execute(with_schema("CREATE TABLE IF NOT EXISTS {s}.schema_versions "
                                       "(part text PRIMARY KEY, version integer NOT NULL)",
                                       schema));
    }
    for (const char* const step : part.steps.subspan(static_cast<std::size_t>(found))) {
        connection.execute(with_schema(step, schema));
    }
    Statement record{connection, with_schema("INSERT INTO {s}.schema_versions VALUES ($1, $2) "
                                             "ON CONFLICT (part) DO UPDATE SET version = excluded.version",
                                             schema)};
    record.run(part.name, newest);
    transaction.commit();
}

} // namespace escqrs::inline v0::postgres
