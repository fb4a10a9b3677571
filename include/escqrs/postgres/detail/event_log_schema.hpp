// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
#pragma once

#include <escqrs/postgres/schema.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace escqrs::inline v0::postgres::detail {

/// Streams and kinds of events (type, schema version and content type together) are stored once, and as numbers in each
/// event.
///
/// A sequence gives out positions, without waiting for others, and so they become visible in another order. To keep a
/// reader from passing one that is still to come, each writer takes a lock before it draws positions, and keeps it
/// until it has committed. The key of this lock holds the last position drawn until then (a shared advisory lock, for
/// which no one ever waits). docs/postgres.md has the argument.
inline constexpr const char* create_event_tables = R"(
CREATE TABLE {s}.streams (
    id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text COLLATE "C" NOT NULL UNIQUE
);
CREATE TABLE {s}.event_kinds (
    id             integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    type           text NOT NULL,
    schema_version bigint NOT NULL,
    content_type   text NOT NULL,
    UNIQUE (type, schema_version, content_type)
);
CREATE TABLE {s}.snapshots (
    stream         bigint PRIMARY KEY,
    version        bigint NOT NULL,
    schema_version bigint NOT NULL,
    content_type   text NOT NULL,
    payload        bytea NOT NULL
);

-- The last position drawn can be read from it at any time: 0 has been drawn. Without CACHE: a session's own store of
-- positions would be drawn long before its lock is taken.
CREATE SEQUENCE {s}.positions MINVALUE 0 START 0 CACHE 1;
SELECT nextval('{s}.positions');

CREATE FUNCTION {s}.events_stay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'events are never changed or deleted';
END $$;

-- What an insert that gives no position does: a condition is evaluated before what depends on it.
CREATE TABLE {s}.events (
    position        bigint PRIMARY KEY DEFAULT CASE WHEN
        pg_advisory_xact_lock_shared(('{s}.positions'::regclass::oid::bigint & 65535) << 48 |
                                     pg_sequence_last_value('{s}.positions')) IS NOT NULL
        THEN nextval('{s}.positions') END,
    stream          bigint NOT NULL,
    version         bigint NOT NULL,
    recorded_at     timestamptz NOT NULL,
    index_in_append integer NOT NULL,
    kind            integer NOT NULL,
    id              uuid NOT NULL,
    metadata        bytea NOT NULL,
    payload         bytea NOT NULL
))";

/// All events in one table.
inline constexpr const char* create_single_table = R"(;
CREATE UNIQUE INDEX events_by_stream ON {s}.events (stream, version);
CREATE UNIQUE INDEX events_by_id ON {s}.events (id);
CREATE VIEW {s}.event_keys AS SELECT stream, version, id, position, index_in_append FROM {s}.events;
CREATE VIEW {s}.stream_events AS SELECT * FROM {s}.events;
CREATE FUNCTION {s}.make_partitions(wanted bigint) RETURNS void LANGUAGE sql AS '';
)";

/// The events in partitions of `{partition_size}` positions each. What must be unique among all events, and finds them,
/// is in its own table, since PostgreSQL has no unique index over partitions except by their key.
inline constexpr const char* create_partitioned_table = R"( PARTITION BY RANGE (position);
CREATE TABLE {s}.event_keys (
    stream          bigint NOT NULL,
    version         bigint NOT NULL,
    id              uuid NOT NULL,
    position        bigint NOT NULL,
    index_in_append integer NOT NULL
);
CREATE UNIQUE INDEX events_by_stream ON {s}.event_keys (stream, version);
CREATE UNIQUE INDEX events_by_id ON {s}.event_keys (id);
-- Each event is looked up by its position, whatever the planner knows of the tables: that is what OFFSET 0 is for.
CREATE VIEW {s}.stream_events AS
    SELECT k.stream, k.version, k.position, e.recorded_at, e.kind, k.id, e.metadata, e.payload
    FROM {s}.event_keys k CROSS JOIN LATERAL
        (SELECT recorded_at, kind, metadata, payload FROM {s}.events WHERE position = k.position OFFSET 0) e;

CREATE FUNCTION {s}.add_event_keys() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO {s}.event_keys SELECT stream, version, id, position, index_in_append FROM added;
    RETURN NULL;
END $$;
CREATE TRIGGER events_have_keys AFTER INSERT ON {s}.events REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION {s}.add_event_keys();

-- Makes the partitions for the next `wanted` positions, and one more. They are attached when they are there, since to create them
-- in their place would wait for all readers.
CREATE FUNCTION {s}.make_partitions(wanted bigint) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    size CONSTANT bigint := {partition_size};
    last_drawn bigint;
    name text;
BEGIN
    PERFORM pg_advisory_xact_lock('{s}.events'::regclass::oid::bigint::bit(32)::integer, 0);
    last_drawn := pg_sequence_last_value('{s}.positions');
    FOR number IN last_drawn / size .. (last_drawn + wanted) / size + 1 LOOP
        name := 'events_' || number;
        CONTINUE WHEN EXISTS (SELECT FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
                              WHERE i.inhparent = '{s}.events'::regclass AND c.relname = name);
        EXECUTE 'CREATE TABLE {s}.' || name || ' (LIKE {s}.events INCLUDING DEFAULTS, CHECK (position >= ' ||
                number * size || ' AND position < ' || (number + 1) * size || ')); ' ||
                'CREATE TRIGGER events_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON {s}.' || name ||
                ' EXECUTE FUNCTION {s}.events_stay(); ' ||
                'ALTER TABLE {s}.events ATTACH PARTITION {s}.' || name ||
                ' FOR VALUES FROM (' || number * size || ') TO (' || (number + 1) * size || ')';
    END LOOP;
END $$;
SELECT {s}.make_partitions(1);
)";

inline constexpr const char* create_event_functions = R"(
CREATE TRIGGER events_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON {s}.events EXECUTE FUNCTION {s}.events_stay();

-- Appends several times: `sizes[n]` events to the stream `names[n]`, which have n as their append number, stand together, and
-- in order. An append that does not find its expected version (-1: any; -2: there must be a stream) is left out, and so are
-- those to the same stream behind it. `bases` are the versions found, `positions` those of the events stored, in order; `streams`
-- are their ids, or NULL where there is none.
CREATE FUNCTION {s}.append(names text[], expected bigint[], sizes integer[], append_numbers integer[],
                           indexes integer[], ids uuid[], event_kinds integer[], metadata bytea[], payloads bytea[],
                           now timestamptz,
                           OUT is_met boolean[], OUT bases bigint[], OUT positions bigint[], OUT streams bigint[])
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    stream_lock CONSTANT integer := '{s}.streams'::regclass::oid::bigint::bit(32)::integer;
    tag CONSTANT bigint := ('{s}.positions'::regclass::oid::bigint & 65535) << 48;
    stream bigint;
    base bigint;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE 'appending needs transaction isolation "read committed", found "%"', current_setting('transaction_isolation');
    END IF;
    IF cardinality(names) = 1 THEN
        PERFORM pg_advisory_xact_lock(stream_lock, hashtext(names[1]));
        SELECT s.id, (SELECT k.version FROM {s}.event_keys k WHERE k.stream = s.id ORDER BY k.version DESC LIMIT 1)
            INTO stream, base FROM {s}.streams s WHERE s.name = names[1];
        base := coalesce(base, 0);
        bases := ARRAY[base];
        streams := ARRAY[stream];
        is_met := ARRAY[expected[1] = -1 OR expected[1] = base OR (expected[1] = -2 AND base > 0)];
        IF NOT is_met[1] THEN RETURN; END IF;
        IF stream IS NULL THEN
            INSERT INTO {s}.streams (name) VALUES (names[1]) RETURNING streams.id INTO stream;
        END IF;
        PERFORM pg_advisory_xact_lock_shared(tag | pg_sequence_last_value('{s}.positions'));
        streams := ARRAY[stream];
    ELSE
        -- In order, so that no two wait for each other.
        PERFORM pg_advisory_xact_lock(stream_lock, lock.key)
            FROM (SELECT DISTINCT hashtext(name) AS key FROM unnest(names) AS name ORDER BY key) AS lock;
        SELECT array_agg(judged.id ORDER BY judged.number), array_agg(judged.base ORDER BY judged.number),
               array_agg(judged.is_met ORDER BY judged.number)
            INTO streams, bases, is_met
            FROM (SELECT found.*, bool_and(found.expected = -1 OR found.expected = found.base OR
                                           (found.expected = -2 AND found.base > 0))
                             OVER (PARTITION BY found.name ORDER BY found.number) AS is_met
                  FROM (SELECT given.*, s.id,
                               coalesce((SELECT k.version FROM {s}.event_keys k WHERE k.stream = s.id
                                         ORDER BY k.version DESC LIMIT 1), 0) +
                                   sum(given.size) OVER (PARTITION BY given.name ORDER BY given.number) - given.size
                                   AS base
                        FROM unnest(names, expected, sizes) WITH ORDINALITY AS given (name, expected, size, number)
                        LEFT JOIN LATERAL (SELECT s.id FROM {s}.streams s WHERE s.name = given.name LIMIT 1) AS s ON true
                       ) AS found) AS judged;
        IF array_position(streams, NULL) IS NOT NULL THEN
            INSERT INTO {s}.streams (name) SELECT DISTINCT given.name FROM unnest(names, streams, is_met) AS given (name, id, is_met)
                WHERE given.id IS NULL AND given.is_met;
            SELECT array_agg(s.id ORDER BY given.number) INTO streams
                FROM unnest(names) WITH ORDINALITY AS given (name, number)
                LEFT JOIN LATERAL (SELECT s.id FROM {s}.streams s WHERE s.name = given.name LIMIT 1) AS s ON true;
        END IF;
        PERFORM pg_advisory_xact_lock_shared(tag | pg_sequence_last_value('{s}.positions'));
    END IF;
    WITH inserted AS (
        INSERT INTO {s}.events
            SELECT nextval('{s}.positions'), streams[e.append_number], bases[e.append_number] + e.index + 1, now, e.index,
                   e.kind, e.id, e.metadata, e.payload
            FROM unnest(append_numbers, indexes, event_kinds, ids, metadata, payloads)
                AS e (append_number, index, kind, id, metadata, payload)
            WHERE is_met[e.append_number]
            RETURNING position)
    SELECT array_agg(position) INTO positions FROM inserted;
END $$;

-- As `append`, of one event, as most appends are: in one query, where that takes several.
-- @return the version found; the event's position, or 0 if it was not stored; the stream's id, or 0 if there is none
CREATE FUNCTION {s}.append_one(name_of_stream text, expected bigint, id uuid, kind integer, metadata bytea, payload bytea,
                               now timestamptz) RETURNS bigint[]
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    stream_lock CONSTANT integer := '{s}.streams'::regclass::oid::bigint::bit(32)::integer;
    tag CONSTANT bigint := ('{s}.positions'::regclass::oid::bigint & 65535) << 48;
    stream bigint;
    base bigint;
    stored bigint;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE 'appending needs transaction isolation "read committed", found "%"', current_setting('transaction_isolation');
    END IF;
    -- A condition is evaluated without a query. What these functions return is never null.
    IF pg_advisory_xact_lock(stream_lock, hashtext(name_of_stream)) IS NULL OR
       pg_advisory_xact_lock_shared(tag | pg_sequence_last_value('{s}.positions')) IS NULL THEN RETURN NULL; END IF;
    INSERT INTO {s}.events
        SELECT nextval('{s}.positions'), found.id, found.version + 1, now, 0, kind, append_one.id, metadata, payload
        FROM (SELECT s.id, coalesce((SELECT k.version FROM {s}.event_keys k WHERE k.stream = s.id
                                     ORDER BY k.version DESC LIMIT 1), 0) AS version
              FROM {s}.streams s WHERE s.name = name_of_stream OFFSET 0) AS found
        WHERE expected = -1 OR expected = found.version OR (expected = -2 AND found.version > 0)
        RETURNING version - 1, position, events.stream INTO base, stored, stream;
    IF stored IS NULL THEN
        SELECT s.id, (SELECT k.version FROM {s}.event_keys k WHERE k.stream = s.id ORDER BY k.version DESC LIMIT 1)
            INTO stream, base FROM {s}.streams s WHERE s.name = name_of_stream;
        IF stream IS NULL AND expected IN (-1, 0) THEN
            INSERT INTO {s}.streams (name) VALUES (name_of_stream) RETURNING streams.id INTO stream;
            INSERT INTO {s}.events
                VALUES (nextval('{s}.positions'), stream, 1, now, 0, kind, append_one.id, metadata, payload)
                RETURNING position INTO stored;
        END IF;
    END IF;
    RETURN ARRAY[coalesce(base, 0), coalesce(stored, 0), coalesce(stream, 0)];
END $$;

-- Appends events to several streams, in order, behind the versions that a client knows to be stored last.
-- @return their positions, in order
CREATE FUNCTION {s}.append_behind(streams bigint[], versions bigint[], indexes integer[], ids uuid[],
                                  event_kinds integer[], metadata bytea[], payloads bytea[], now timestamptz) RETURNS bigint[]
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    tag CONSTANT bigint := ('{s}.positions'::regclass::oid::bigint & 65535) << 48;
    positions bigint[];
BEGIN
    PERFORM pg_advisory_xact_lock_shared(tag | pg_sequence_last_value('{s}.positions'));
    WITH inserted AS (
        INSERT INTO {s}.events
            SELECT nextval('{s}.positions'), e.stream, e.version, now, e.index, e.kind, e.id, e.metadata, e.payload
            FROM unnest(streams, versions, indexes, ids, event_kinds, metadata, payloads)
                AS e (stream, version, index, id, kind, metadata, payload)
            RETURNING position)
    SELECT array_agg(position) INTO positions FROM inserted;
    RETURN positions;
END $$;

-- As `append_behind`, of one append: what is the same for all of its events is not handed over for each.
-- @return the last one's position
CREATE FUNCTION {s}.append_all_behind(stream bigint, version bigint, ids uuid[], event_kinds integer[], metadata bytea[],
                                      payloads bytea[], now timestamptz) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    tag CONSTANT bigint := ('{s}.positions'::regclass::oid::bigint & 65535) << 48;
BEGIN
    -- As in `append_one`: a condition takes no query.
    IF pg_advisory_xact_lock_shared(tag | pg_sequence_last_value('{s}.positions')) IS NULL THEN RETURN NULL; END IF;
    INSERT INTO {s}.events
        SELECT nextval('{s}.positions'), append_all_behind.stream, append_all_behind.version + e.number, now, e.number - 1,
               e.kind, e.id, e.metadata, e.payload
        FROM unnest(ids, event_kinds, append_all_behind.metadata, payloads) WITH ORDINALITY
            AS e (id, kind, metadata, payload, number);
    RETURN currval('{s}.positions'); -- drawn in order, by this session
END $$;

-- The position up to which nothing will turn up any more; that of an event, or 0. Three steps, of which each sees what was
-- committed when it begins: the last position drawn; the locks of those who had drawn and have not ended; the events.
CREATE FUNCTION {s}.readable_until() RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    tag CONSTANT bigint := '{s}.positions'::regclass::oid::bigint & 65535;
    last_drawn bigint;
    held_back bigint;
    last_stored bigint;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE 'reading the log needs transaction isolation "read committed", found "%"',
            current_setting('transaction_isolation');
    END IF;
    IF pg_is_in_recovery() THEN RAISE 'the log is read on the primary server: a standby does not know who is writing'; END IF;
    last_drawn := pg_sequence_last_value('{s}.positions');
    SELECT min((classid::bigint & 65535) << 32 | objid::bigint) INTO held_back FROM pg_locks
        WHERE locktype = 'advisory' AND objsubid = 1 AND mode = 'ShareLock' AND granted AND classid::bigint >> 16 = tag
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database());
    SELECT max(position) INTO last_stored FROM {s}.events WHERE position <= least(last_drawn, held_back);
    RETURN coalesce(last_stored, 0);
END $$;

CREATE FUNCTION {s}.kind(wanted_type text, wanted_version bigint, wanted_content_type text) RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found integer;
BEGIN
    LOOP
        SELECT id INTO found FROM {s}.event_kinds
            WHERE type = wanted_type AND schema_version = wanted_version AND content_type = wanted_content_type;
        IF found IS NOT NULL THEN RETURN found; END IF;
        INSERT INTO {s}.event_kinds (type, schema_version, content_type)
            VALUES (wanted_type, wanted_version, wanted_content_type) ON CONFLICT DO NOTHING;
    END LOOP;
END $$;

CREATE FUNCTION {s}.write_snapshot(name_of_stream text, at_version bigint, of_schema_version bigint, of_content_type text,
                                   content bytea) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO {s}.snapshots SELECT id, at_version, of_schema_version, of_content_type, content
        FROM {s}.streams WHERE name = name_of_stream
        ON CONFLICT (stream) DO UPDATE SET version = excluded.version, schema_version = excluded.schema_version,
            content_type = excluded.content_type, payload = excluded.payload;
END $$;

REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA {s} FROM PUBLIC;
)";

/// Step 2. The id is no secret, and roles that were granted the use of the store before it had one need it.
inline constexpr const char* add_log_id = R"(
CREATE TABLE {s}.log (id uuid NOT NULL);
INSERT INTO {s}.log VALUES (gen_random_uuid());
GRANT SELECT ON {s}.log TO PUBLIC;
)";

/// Step 1 of the schema. It stays as it is, byte for byte: there are databases that were made by it. What changes goes
/// into further steps.
/// @param partition_size  0: not partitioned
inline std::string create_event_log(std::uint64_t partition_size)
{
    std::string sql{create_event_tables};
    sql += partition_size == 0 ? create_single_table : create_partitioned_table;
    sql += create_event_functions;
    constexpr std::string_view mark = "{partition_size}";
    if (const auto found = sql.find(mark); found != std::string::npos) {
        sql.replace(found, mark.size(), std::to_string(partition_size));
    }
    return sql;
}

/// The key of the lock that keeps readers back has 48 bits for a position.
inline constexpr std::int64_t max_position = (std::int64_t{1} << 48) - 1;

/// Step 3.
inline constexpr const char* bound_positions = "ALTER SEQUENCE {s}.positions MAXVALUE {max_position} NO CYCLE;";

inline std::string with_max_position(std::string sql)
{
    constexpr std::string_view mark = "{max_position}";
    const auto at = sql.find(mark);
    return at == std::string::npos ? sql : sql.replace(at, mark.size(), std::to_string(max_position));
}

/// Before each step: names in it mean what they mean to PostgreSQL, whatever others have created in `public`.
inline constexpr const char* unhindered = "SET LOCAL search_path = pg_catalog, pg_temp;";

} // namespace escqrs::inline v0::postgres::detail
