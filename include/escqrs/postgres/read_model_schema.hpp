// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/postgres/schema.hpp>

#include <string>
#include <string_view>

namespace escqrs::inline v0::postgres::detail {

/// The tables kept with read models: how far each has come, what it has parked, and which process may write to it.
inline constexpr const char* create_read_models = R"(
CREATE TABLE {s}.checkpoints (
    name         text PRIMARY KEY,
    position     bigint NOT NULL,
    replay_until bigint NOT NULL
);
CREATE TABLE {s}.stream_checkpoints (
    projection text NOT NULL,
    stream     text COLLATE "C" NOT NULL,
    version    bigint NOT NULL,
    PRIMARY KEY (projection, stream)
);
CREATE TABLE {s}.parked_streams (
    projection     text NOT NULL,
    stream         text COLLATE "C" NOT NULL,
    version        bigint NOT NULL,
    position       bigint NOT NULL,
    last           bigint NOT NULL,
    events         bigint NOT NULL,
    error          text NOT NULL,
    unhandled_from bigint NOT NULL,
    PRIMARY KEY (projection, stream)
);
CREATE TABLE {s}.leases (
    name       text PRIMARY KEY,
    holder     text NOT NULL,
    token      bigint NOT NULL, -- another one with each change of holder, and always a greater one
    expires_at timestamptz NOT NULL
);
)";

inline constexpr const char* create_read_model_versions = R"(
CREATE TABLE {s}.read_models (
    name    text,
    version bigint,
    is_live boolean NOT NULL,
    tables  text NOT NULL, -- each with a space behind it
    PRIMARY KEY (name, version)
);
)";

/// In which log a checkpoint is, and which event was at `position` when that was `event_position`; all zeros: not
/// known.
inline constexpr const char* add_bookmarks = R"(
ALTER TABLE {s}.checkpoints
    ADD COLUMN log            uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    ADD COLUMN event          uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    ADD COLUMN event_position bigint NOT NULL DEFAULT 0;
)";

/// Each shard's lease has the number of shards. Workers move out of the table of leases, where they stayed for ever.
/// Shards that were leased before this step are as many as there are leases of them.
inline constexpr const char* create_shard_workers = R"(
ALTER TABLE {s}.leases ADD COLUMN shards bigint; -- that its name is divided into; NULL: it is none
CREATE TABLE {s}.shard_workers (
    name       text,
    worker     text,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (name, worker)
);
UPDATE {s}.leases AS lease SET shards =
    (SELECT count(*) FROM {s}.leases AS shard WHERE shard.name ~ '/[0-9]+$' AND
     regexp_replace(shard.name, '[0-9]+$', '') = regexp_replace(lease.name, '[0-9]+$', ''))
WHERE lease.name ~ '/[0-9]+$' AND EXISTS
    (SELECT FROM {s}.leases AS worker WHERE starts_with(worker.name, regexp_replace(lease.name, '[0-9]+$', 'worker/')));
DELETE FROM {s}.leases AS worker WHERE worker.shards IS NULL AND EXISTS
    (SELECT FROM {s}.leases AS lease WHERE lease.shards IS NOT NULL AND
     starts_with(worker.name, regexp_replace(lease.name, '[0-9]+$', 'worker/')));
)";

/// What is needed to give the streams of a checkpoint to others.
inline constexpr const char* add_handled_before = R"(
ALTER TABLE {s}.checkpoints
    ADD COLUMN lease          text,     -- under which it was last opened; NULL: under none
    ADD COLUMN handled_before bigint[]; -- where each of the former shards stood, as long as that matters
)";

inline constexpr const char* read_model_steps[] = { // NOLINT(modernize-avoid-c-arrays)
    create_read_models, create_read_model_versions, add_bookmarks, create_shard_workers, add_handled_before};
inline constexpr SchemaPart read_model_schema{"read models", read_model_steps};

/// @return `connection`, whose `schema` has these tables now
inline Connection& with_read_models(Connection& connection, const std::string& schema)
{
    migrate(connection, schema, read_model_schema);
    return connection;
}

} // namespace escqrs::inline v0::postgres::detail

namespace escqrs::inline v0::postgres {

/// Grants `role` what a worker needs to use checkpoints, parking lots and leases in `schema`, but nothing on its read
/// model's tables.
/// @param owner  a connection of the role that owns the schema
inline void grant_read_models(Connection& owner, std::string_view schema, std::string_view role)
{
    const std::string to = " TO " + quoted_name(role);
    owner.execute(with_schema("GRANT USAGE ON SCHEMA {s}" + to + "; GRANT SELECT ON {s}.schema_versions" + to +
                                  "; GRANT SELECT, INSERT, UPDATE, DELETE ON {s}.checkpoints, {s}.stream_checkpoints, "
                                  "{s}.parked_streams, {s}.leases, {s}.shard_workers, {s}.read_models" +
                                  to,
                              schema));
}

} // namespace escqrs::inline v0::postgres
