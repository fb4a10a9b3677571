// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/projections/sql/dialect.hpp>
#include <escqrs/sqlite/database.hpp>
#include <escqrs/sqlite/transaction.hpp>

namespace escqrs::inline v0::sqlite::detail {

inline constexpr const char* create_checkpoints =
    "CREATE TABLE IF NOT EXISTS escqrs_checkpoints (name TEXT PRIMARY KEY, position INTEGER NOT NULL, "
    "replay_until INTEGER NOT NULL, log TEXT NOT NULL DEFAULT '', event TEXT NOT NULL DEFAULT '') WITHOUT ROWID";

/// To a table from before checkpoints knew their log.
inline constexpr const char* add_bookmarks = "ALTER TABLE escqrs_checkpoints ADD COLUMN log TEXT NOT NULL DEFAULT ''; "
                                             "ALTER TABLE escqrs_checkpoints ADD COLUMN event TEXT NOT NULL DEFAULT ''";

inline constexpr const char* create_stream_checkpoints =
    "CREATE TABLE IF NOT EXISTS escqrs_stream_checkpoints (projection TEXT NOT NULL, stream TEXT NOT NULL, "
    "version INTEGER NOT NULL, PRIMARY KEY (projection, stream)) WITHOUT ROWID";

inline constexpr const char* create_parked_streams =
    "CREATE TABLE IF NOT EXISTS escqrs_parked_streams (projection TEXT NOT NULL, stream TEXT NOT NULL, version INTEGER "
    "NOT NULL, position INTEGER NOT NULL, last INTEGER NOT NULL, events INTEGER NOT NULL, error TEXT NOT NULL, "
    "unhandled_from INTEGER NOT NULL, PRIMARY KEY (projection, stream)) WITHOUT ROWID";

inline constexpr const char* create_read_models =
    "CREATE TABLE IF NOT EXISTS escqrs_read_models (name TEXT NOT NULL, version INTEGER NOT NULL, is_live INTEGER NOT "
    "NULL, tables TEXT NOT NULL, PRIMARY KEY (name, version)) WITHOUT ROWID";

inline bool knows_logs(Database& database)
{
    return database.query_integer(
               "SELECT count(*) FROM pragma_table_info('escqrs_checkpoints') WHERE name = 'event'") != 0;
}

inline void create_checkpoint_table(Database& database)
{
    database.execute(create_checkpoints);
    if (knows_logs(database)) return;
    if (database.in_transaction()) return database.execute(add_bookmarks);
    Transaction transaction{database};
    if (!knows_logs(database)) database.execute(add_bookmarks); // else another process was faster
    transaction.commit();
}

/// Those that are not there yet; of older ones, the columns that they lack.
inline void create_read_model_tables(Database& database, sql::Tables tables)
{
    switch (tables) {
    case sql::Tables::checkpoints: return create_checkpoint_table(database);
    case sql::Tables::stream_checkpoints: return database.execute(create_stream_checkpoints);
    case sql::Tables::parked_streams: return database.execute(create_parked_streams);
    case sql::Tables::read_models:
        create_checkpoint_table(database);
        database.execute(create_read_models);
        database.execute(create_parked_streams);
    }
}

} // namespace escqrs::inline v0::sqlite::detail
