// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/postgres/connection.hpp>

#include <string>

namespace escqrs::inline v0::postgres::detail {

/// Makes the event store's own connection independent of what an administrator has set for its role, database or
/// server: names mean what they mean to PostgreSQL, a reader may be slow, a wait for a lock ends with the lock, and
/// each statement sees what was committed before it. `ConnectionOptions::answer_timeout` bounds statements instead.
///
/// Not behind a PgBouncer, which would pass the settings on to other clients.
inline void pin_settings(Connection& connection)
{
    if (!connection.options().prepares_statements) return;
    constexpr int with_transaction_timeout = 170'000;
    std::string sql = "SET search_path = pg_catalog, pg_temp; SET statement_timeout = 0; SET lock_timeout = 0; "
                      "SET idle_in_transaction_session_timeout = 0; "
                      "SET default_transaction_isolation = 'read committed'";
    if (PQserverVersion(connection.handle()) >= with_transaction_timeout) sql += "; SET transaction_timeout = 0";
    connection.set_up_by(sql);
}

} // namespace escqrs::inline v0::postgres::detail
