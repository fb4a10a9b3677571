-- What the event store's schema was at commit 4217f4e, as the difference to version 1.
DROP FUNCTION {s}.append_all_behind;
CREATE FUNCTION {s}.append_all_behind(stream bigint, version bigint, ids uuid[], event_kinds integer[], metadata bytea[],
                                      payloads bytea[], now timestamptz) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    tag CONSTANT bigint := ('{s}.positions'::regclass::oid::bigint & 65535) << 48;
    last_position bigint;
BEGIN
    PERFORM pg_advisory_xact_lock_shared(tag | pg_sequence_last_value('{s}.positions'));
    WITH inserted AS (
        INSERT INTO {s}.events
            SELECT nextval('{s}.positions'), append_all_behind.stream, append_all_behind.version + e.number, now, e.number - 1,
                   e.kind, e.id, e.metadata, e.payload
            FROM unnest(ids, event_kinds, append_all_behind.metadata, payloads) WITH ORDINALITY
                AS e (id, kind, metadata, payload, number)
            RETURNING position)
    SELECT max(position) INTO last_position FROM inserted;
    RETURN last_position;
END $$;
