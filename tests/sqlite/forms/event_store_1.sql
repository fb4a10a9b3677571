-- An event store of the first schema, as the library of then wrote it.
BEGIN;
CREATE TABLE streams (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
);
INSERT INTO streams VALUES(1,'sample-one');
INSERT INTO streams VALUES(2,'sample-two');
CREATE TABLE event_kinds (
    id             INTEGER PRIMARY KEY,
    type           TEXT NOT NULL,
    schema_version INTEGER NOT NULL,
    content_type   TEXT NOT NULL,
    UNIQUE (type, schema_version, content_type)
);
INSERT INTO event_kinds VALUES(1,'SampleHappened',1,'application/octet-stream');
INSERT INTO event_kinds VALUES(2,'SampleHappened',2,'application/octet-stream');
INSERT INTO event_kinds VALUES(3,'OtherHappened',1,'application/octet-stream');
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
INSERT INTO events VALUES(1,1,1,0,X'11111111111141118111111111111111',1,1796063586193877,X'7000ff',X'7000ff');
INSERT INTO events VALUES(2,1,2,1,X'22222222222242228222222222222222',2,1796063586193877,X'7000ff',X'7000ff');
INSERT INTO events VALUES(3,2,1,0,X'33333333333343338333333333333333',3,1796063586196301,X'7000ff',X'7000ff');
CREATE UNIQUE INDEX events_by_stream ON events (stream, version);
CREATE UNIQUE INDEX events_by_id ON events (id);
CREATE TRIGGER events_stay BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'events are never deleted'); END;
CREATE TRIGGER events_stay_the_same BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'events are never changed'); END;
PRAGMA application_id = 1163084630;
PRAGMA user_version = 1;
COMMIT;
