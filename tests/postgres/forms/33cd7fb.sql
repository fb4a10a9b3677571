-- What the event store's schema was at commit 33cd7fb, as the difference to version 1.
DROP FUNCTION {s}.append, {s}.append_behind, {s}.append_all_behind;
CREATE FUNCTION {s}.append(names text[], expected bigint[], sizes integer[], append_numbers integer[],
                           indexes integer[], ids uuid[], event_kinds integer[], metadata bytea[], payloads bytea[],
                           now timestamptz,
                           OUT is_met boolean[], OUT bases bigint[], OUT positions bigint[])
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    stream_lock CONSTANT integer := '{s}.streams'::regclass::oid::bigint::bit(32)::integer;
    tag CONSTANT bigint := ('{s}.positions'::regclass::oid::bigint & 65535) << 48;
    streams bigint[];
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
