// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/config.hpp>
#include <escqrs/sqlite/database.hpp>

#include <string>

namespace escqrs::inline v0::sqlite::detail {

/// Streams and kinds of events (type, schema version and content type together) are stored once, and as small integers
/// in each event: measured, half again as fast and a third smaller than their texts.
///
/// Positions are given out inside the write transaction, of which there is one at a time, so their order is the order
/// of the commits: no event ever turns up at a position that a reader has passed. What is stored stays as it is; that
/// also keeps a position from being given out twice, for which AUTOINCREMENT would write one more row with each event.
inline constexpr const char* add_snapshots = R"(
CREATE TABLE snapshots (
    stream         INTEGER PRIMARY KEY,
    version        INTEGER NOT NULL,
    schema_version INTEGER NOT NULL,
    content_type   TEXT NOT NULL,
    payload        BLOB NOT NULL
);
)";
/// A random UUID (RFC 9562, section 5.4).
inline constexpr const char* add_log_id = R"(
CREATE TABLE log (id TEXT NOT NULL);
INSERT INTO log SELECT lower(hex(substr(bytes, 1, 4)) || '-' || hex(substr(bytes, 5, 2)) || '-4' ||
    substr(hex(substr(bytes, 7, 2)), 2) || '-a' || substr(hex(substr(bytes, 9, 2)), 2) || '-' || hex(substr(bytes, 11)))
    FROM (SELECT randomblob(16) AS bytes);
)";
inline constexpr const char* event_log_upgrades[] = {add_snapshots, add_log_id}; // NOLINT(modernize-avoid-c-arrays)

inline constexpr Schema event_log_schema{"event store",
                                         0x45534356, // "ESCV"
                                         3,
                                         R"(
CREATE TABLE streams (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
);
CREATE TABLE event_kinds (
    id             INTEGER PRIMARY KEY,
    type           TEXT NOT NULL,
    schema_version INTEGER NOT NULL,
    content_type   TEXT NOT NULL,
    UNIQUE (type, schema_version, content_type)
);
CREATE TABLE events (
    position        INTEGER PRIMARY KEY,
    stream          INTEGER NOT NULL,
    version         INTEGER NOT NULL,
    index_in_append INTEGER NOT NULL,
    id              BLOB NOT NULL,
    kind            INTEGER NOT NULL,
    recorded_at     INTEGER NOT NULL, -- microseconds since 1970
    metadata        BLOB NOT NULL,
    payload         BLOB NOT NULL
);
CREATE UNIQUE INDEX events_by_stream ON events (stream, version);
CREATE UNIQUE INDEX events_by_id ON events (id);
CREATE TRIGGER events_stay BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'events are never deleted'); END;
CREATE TRIGGER events_stay_the_same BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'events are never changed'); END;
)",
                                         event_log_upgrades};

/// @throws StoreError if the path means memory, or a file without a name: its connections would not share that
ESCQRS_INLINE const std::string& file_path(const std::string& path);

#if ESCQRS_HAS_BODIES

ESCQRS_INLINE const std::string& file_path(const std::string& path)
{
    if (path.empty() || path == ":memory:") {
        throw StoreError{"expected the path of an SQLite file, found '" + path + "'; in_memory::EventStore needs none"};
    }
    return path;
}

#endif // ESCQRS_HAS_BODIES

} // namespace escqrs::inline v0::sqlite::detail
