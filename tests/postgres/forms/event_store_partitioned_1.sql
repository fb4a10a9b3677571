-- An event store of the first schema with a partitioned log, as the library of then wrote it.
CREATE SCHEMA {s};
CREATE FUNCTION {s}.add_event_keys() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    INSERT INTO {s}.event_keys SELECT stream, version, id, position, index_in_append FROM added;
    RETURN NULL;
END $$;
CREATE FUNCTION {s}.append(names text[], expected bigint[], sizes integer[], append_numbers integer[], indexes integer[], ids uuid[], event_kinds integer[], metadata bytea[], payloads bytea[], now timestamp with time zone, OUT is_met boolean[], OUT bases bigint[], OUT positions bigint[], OUT streams bigint[]) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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
CREATE FUNCTION {s}.append_all_behind(stream bigint, version bigint, ids uuid[], event_kinds integer[], metadata bytea[], payloads bytea[], now timestamp with time zone) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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
CREATE FUNCTION {s}.append_behind(streams bigint[], versions bigint[], indexes integer[], ids uuid[], event_kinds integer[], metadata bytea[], payloads bytea[], now timestamp with time zone) RETURNS bigint[]
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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
CREATE FUNCTION {s}.append_one(name_of_stream text, expected bigint, id uuid, kind integer, metadata bytea, payload bytea, now timestamp with time zone) RETURNS bigint[]
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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
CREATE FUNCTION {s}.events_stay() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    RAISE 'events are never changed or deleted';
END $$;
CREATE FUNCTION {s}.kind(wanted_type text, wanted_version bigint, wanted_content_type text) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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
CREATE FUNCTION {s}.make_partitions(wanted bigint) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    size CONSTANT bigint := 10000;
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
CREATE FUNCTION {s}.readable_until() RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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
CREATE FUNCTION {s}.write_snapshot(name_of_stream text, at_version bigint, of_schema_version bigint, of_content_type text, content bytea) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    INSERT INTO {s}.snapshots SELECT id, at_version, of_schema_version, of_content_type, content
        FROM {s}.streams WHERE name = name_of_stream
        ON CONFLICT (stream) DO UPDATE SET version = excluded.version, schema_version = excluded.schema_version,
            content_type = excluded.content_type, payload = excluded.payload;
END $$;
CREATE TABLE {s}.event_keys (
    stream bigint NOT NULL,
    version bigint NOT NULL,
    id uuid NOT NULL,
    "position" bigint NOT NULL,
    index_in_append integer NOT NULL
);
CREATE TABLE {s}.event_kinds (
    id integer NOT NULL,
    type text NOT NULL,
    schema_version bigint NOT NULL,
    content_type text NOT NULL
);
ALTER TABLE {s}.event_kinds ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME {s}.event_kinds_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE SEQUENCE {s}.positions
    START WITH 0
    INCREMENT BY 1
    MINVALUE 0
    NO MAXVALUE
    CACHE 1;
CREATE TABLE {s}.events (
    "position" bigint DEFAULT 
CASE
    WHEN (pg_advisory_xact_lock_shared(((((('{s}.positions'::regclass)::oid)::bigint & (65535)::bigint) << 48) | pg_sequence_last_value('{s}.positions'::regclass))) IS NOT NULL) THEN nextval('{s}.positions'::regclass)
    ELSE NULL::bigint
END NOT NULL,
    stream bigint NOT NULL,
    version bigint NOT NULL,
    recorded_at timestamp with time zone NOT NULL,
    index_in_append integer NOT NULL,
    kind integer NOT NULL,
    id uuid NOT NULL,
    metadata bytea NOT NULL,
    payload bytea NOT NULL
)
PARTITION BY RANGE ("position");
CREATE TABLE {s}.events_0 (
    "position" bigint DEFAULT 
CASE
    WHEN (pg_advisory_xact_lock_shared(((((('{s}.positions'::regclass)::oid)::bigint & (65535)::bigint) << 48) | pg_sequence_last_value('{s}.positions'::regclass))) IS NOT NULL) THEN nextval('{s}.positions'::regclass)
    ELSE NULL::bigint
END NOT NULL,
    stream bigint NOT NULL,
    version bigint NOT NULL,
    recorded_at timestamp with time zone NOT NULL,
    index_in_append integer NOT NULL,
    kind integer NOT NULL,
    id uuid NOT NULL,
    metadata bytea NOT NULL,
    payload bytea NOT NULL,
    CONSTRAINT events_0_position_check CHECK ((("position" >= 0) AND ("position" < 10000)))
);
CREATE TABLE {s}.events_1 (
    "position" bigint DEFAULT 
CASE
    WHEN (pg_advisory_xact_lock_shared(((((('{s}.positions'::regclass)::oid)::bigint & (65535)::bigint) << 48) | pg_sequence_last_value('{s}.positions'::regclass))) IS NOT NULL) THEN nextval('{s}.positions'::regclass)
    ELSE NULL::bigint
END NOT NULL,
    stream bigint NOT NULL,
    version bigint NOT NULL,
    recorded_at timestamp with time zone NOT NULL,
    index_in_append integer NOT NULL,
    kind integer NOT NULL,
    id uuid NOT NULL,
    metadata bytea NOT NULL,
    payload bytea NOT NULL,
    CONSTRAINT events_1_position_check CHECK ((("position" >= 10000) AND ("position" < 20000)))
);
CREATE TABLE {s}.schema_versions (
    part text NOT NULL,
    version integer NOT NULL
);
CREATE TABLE {s}.snapshots (
    stream bigint NOT NULL,
    version bigint NOT NULL,
    schema_version bigint NOT NULL,
    content_type text NOT NULL,
    payload bytea NOT NULL
);
CREATE VIEW {s}.stream_events AS
 SELECT k.stream,
    k.version,
    k."position",
    e.recorded_at,
    e.kind,
    k.id,
    e.metadata,
    e.payload
   FROM ({s}.event_keys k
     CROSS JOIN LATERAL ( SELECT events.recorded_at,
            events.kind,
            events.metadata,
            events.payload
           FROM {s}.events
          WHERE (events."position" = k."position")
         OFFSET 0) e);
CREATE TABLE {s}.streams (
    id bigint NOT NULL,
    name text NOT NULL COLLATE pg_catalog."C"
);
ALTER TABLE {s}.streams ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME {s}.streams_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
ALTER TABLE ONLY {s}.events ATTACH PARTITION {s}.events_0 FOR VALUES FROM ('0') TO ('10000');
ALTER TABLE ONLY {s}.events ATTACH PARTITION {s}.events_1 FOR VALUES FROM ('10000') TO ('20000');
INSERT INTO {s}.event_keys VALUES (1, 1, '11111111-1111-4111-8111-111111111111', 1, 0);
INSERT INTO {s}.event_keys VALUES (1, 2, '22222222-2222-4222-8222-222222222222', 2, 1);
INSERT INTO {s}.event_keys VALUES (2, 1, '33333333-3333-4333-8333-333333333333', 3, 0);
INSERT INTO {s}.event_kinds OVERRIDING SYSTEM VALUE VALUES (1, 'SampleHappened', 1, 'application/octet-stream');
INSERT INTO {s}.event_kinds OVERRIDING SYSTEM VALUE VALUES (2, 'SampleHappened', 2, 'application/octet-stream');
INSERT INTO {s}.event_kinds OVERRIDING SYSTEM VALUE VALUES (3, 'OtherHappened', 1, 'application/octet-stream');
INSERT INTO {s}.events_0 VALUES (1, 1, 1, '2026-11-30 18:35:45.085988+00', 0, 1, '11111111-1111-4111-8111-111111111111', '\x7000ff', '\x7000ff');
INSERT INTO {s}.events_0 VALUES (2, 1, 2, '2026-11-30 18:35:45.085988+00', 1, 2, '22222222-2222-4222-8222-222222222222', '\x7000ff', '\x7000ff');
INSERT INTO {s}.events_0 VALUES (3, 2, 1, '2026-11-30 18:35:45.117115+00', 0, 3, '33333333-3333-4333-8333-333333333333', '\x7000ff', '\x7000ff');
INSERT INTO {s}.schema_versions VALUES ('event store', 1);
INSERT INTO {s}.streams OVERRIDING SYSTEM VALUE VALUES (1, 'sample-one');
INSERT INTO {s}.streams OVERRIDING SYSTEM VALUE VALUES (2, 'sample-two');
SELECT pg_catalog.setval('{s}.event_kinds_id_seq', 3, true);
SELECT pg_catalog.setval('{s}.positions', 3, true);
SELECT pg_catalog.setval('{s}.streams_id_seq', 2, true);
ALTER TABLE ONLY {s}.event_kinds
    ADD CONSTRAINT event_kinds_pkey PRIMARY KEY (id);
ALTER TABLE ONLY {s}.event_kinds
    ADD CONSTRAINT event_kinds_type_schema_version_content_type_key UNIQUE (type, schema_version, content_type);
ALTER TABLE ONLY {s}.events
    ADD CONSTRAINT events_pkey PRIMARY KEY ("position");
ALTER TABLE ONLY {s}.events_0
    ADD CONSTRAINT events_0_pkey PRIMARY KEY ("position");
ALTER TABLE ONLY {s}.events_1
    ADD CONSTRAINT events_1_pkey PRIMARY KEY ("position");
ALTER TABLE ONLY {s}.schema_versions
    ADD CONSTRAINT schema_versions_pkey PRIMARY KEY (part);
ALTER TABLE ONLY {s}.snapshots
    ADD CONSTRAINT snapshots_pkey PRIMARY KEY (stream);
ALTER TABLE ONLY {s}.streams
    ADD CONSTRAINT streams_name_key UNIQUE (name);
ALTER TABLE ONLY {s}.streams
    ADD CONSTRAINT streams_pkey PRIMARY KEY (id);
CREATE UNIQUE INDEX events_by_id ON {s}.event_keys USING btree (id);
CREATE UNIQUE INDEX events_by_stream ON {s}.event_keys USING btree (stream, version);
ALTER INDEX {s}.events_pkey ATTACH PARTITION {s}.events_0_pkey;
ALTER INDEX {s}.events_pkey ATTACH PARTITION {s}.events_1_pkey;
CREATE TRIGGER events_have_keys AFTER INSERT ON {s}.events REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION {s}.add_event_keys();
CREATE TRIGGER events_stay BEFORE DELETE OR UPDATE OR TRUNCATE ON {s}.events FOR EACH STATEMENT EXECUTE FUNCTION {s}.events_stay();
CREATE TRIGGER events_stay BEFORE DELETE OR UPDATE OR TRUNCATE ON {s}.events_0 FOR EACH STATEMENT EXECUTE FUNCTION {s}.events_stay();
CREATE TRIGGER events_stay BEFORE DELETE OR UPDATE OR TRUNCATE ON {s}.events_1 FOR EACH STATEMENT EXECUTE FUNCTION {s}.events_stay();
