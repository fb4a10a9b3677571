-- Checkpoints and parked streams of the first schema, as the library of then wrote them.
CREATE SCHEMA {s};
CREATE TABLE {s}.checkpoints (
    name text NOT NULL,
    "position" bigint NOT NULL,
    replay_until bigint NOT NULL
);
CREATE TABLE {s}.leases (
    name text NOT NULL,
    holder text NOT NULL,
    token bigint NOT NULL,
    expires_at timestamp with time zone NOT NULL
);
CREATE TABLE {s}.parked_streams (
    projection text NOT NULL,
    stream text NOT NULL COLLATE pg_catalog."C",
    version bigint NOT NULL,
    "position" bigint NOT NULL,
    last bigint NOT NULL,
    events bigint NOT NULL,
    error text NOT NULL,
    unhandled_from bigint NOT NULL
);
CREATE TABLE {s}.schema_versions (
    part text NOT NULL,
    version integer NOT NULL
);
CREATE TABLE {s}.stream_checkpoints (
    projection text NOT NULL,
    stream text NOT NULL COLLATE pg_catalog."C",
    version bigint NOT NULL
);
INSERT INTO {s}.checkpoints VALUES ('orders', 4, 9);
INSERT INTO {s}.leases VALUES ('orders', 'old holder', 1, '2026-11-30 18:35:50.342433+00');
INSERT INTO {s}.parked_streams VALUES ('orders', 'account-1', 2, 3, 2, 1, 'cannot count it', 2);
INSERT INTO {s}.schema_versions VALUES ('read models', 1);
INSERT INTO {s}.stream_checkpoints VALUES ('orders', 'account-1', 2);
ALTER TABLE ONLY {s}.checkpoints
    ADD CONSTRAINT checkpoints_pkey PRIMARY KEY (name);
ALTER TABLE ONLY {s}.leases
    ADD CONSTRAINT leases_pkey PRIMARY KEY (name);
ALTER TABLE ONLY {s}.parked_streams
    ADD CONSTRAINT parked_streams_pkey PRIMARY KEY (projection, stream);
ALTER TABLE ONLY {s}.schema_versions
    ADD CONSTRAINT schema_versions_pkey PRIMARY KEY (part);
ALTER TABLE ONLY {s}.stream_checkpoints
    ADD CONSTRAINT stream_checkpoints_pkey PRIMARY KEY (projection, stream);
