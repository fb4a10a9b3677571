-- A queue of the first schema, as the library of then wrote it.
BEGIN;
CREATE TABLE counter (id INTEGER PRIMARY KEY CHECK (id = 1), last INTEGER NOT NULL);
INSERT INTO counter VALUES(1,5);
CREATE TABLE session (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        turn INTEGER,
        held_up_to INTEGER NOT NULL DEFAULT 0,
        locked_until INTEGER,
        lock_token TEXT);
INSERT INTO session VALUES(3,'account-1',3,0,NULL,NULL);
CREATE TABLE message (
        number INTEGER PRIMARY KEY,
        session INTEGER NOT NULL,
        failed_deliveries INTEGER NOT NULL DEFAULT 0,
        enqueued_at INTEGER NOT NULL,
        due INTEGER,
        locked_until INTEGER,
        lock_token TEXT,
        message_id TEXT NOT NULL,
        session_id TEXT NOT NULL,
        subject TEXT NOT NULL,
        correlation_id TEXT NOT NULL,
        content_type TEXT NOT NULL,
        scheduled_at INTEGER,
        properties BLOB NOT NULL,
        body BLOB NOT NULL);
INSERT INTO message VALUES(2,0,0,1796063629833789,NULL,1796063689849749,'5f9b91c2-a8bd-408f-924d-b3c429e079f9','held','','SampleHappened','','text/plain',NULL,X'',X'68');
INSERT INTO message VALUES(3,3,0,1796063629833789,NULL,NULL,NULL,'first','account-1','SampleHappened','','text/plain',NULL,X'',X'31');
INSERT INTO message VALUES(4,3,0,1796063629833789,NULL,NULL,NULL,'second','account-1','SampleHappened','','text/plain',NULL,X'',X'32');
INSERT INTO message VALUES(5,0,0,1796063629833789,NULL,NULL,NULL,'alone','','SampleHappened','','text/plain',NULL,X'',X'61');
CREATE TABLE dead_letter (
        number INTEGER PRIMARY KEY,
        delivery_count INTEGER NOT NULL,
        enqueued_at INTEGER NOT NULL,
        dead_lettered_at INTEGER NOT NULL,
        reason TEXT NOT NULL,
        description TEXT NOT NULL,
        message_id TEXT NOT NULL,
        session_id TEXT NOT NULL,
        subject TEXT NOT NULL,
        correlation_id TEXT NOT NULL,
        content_type TEXT NOT NULL,
        scheduled_at INTEGER,
        properties BLOB NOT NULL,
        body BLOB NOT NULL);
INSERT INTO dead_letter VALUES(1,1,1796063629810906,1796063629820825,'CodecError','cannot be read','poison','','SampleHappened','','text/plain',NULL,X'',X'626164');
CREATE TABLE seen (number INTEGER PRIMARY KEY, message_id TEXT NOT NULL UNIQUE, seen_at INTEGER NOT NULL);
INSERT INTO seen VALUES(1,'poison',1796063629810906);
INSERT INTO seen VALUES(2,'held',1796063629833789);
INSERT INTO seen VALUES(3,'first',1796063629833789);
INSERT INTO seen VALUES(4,'second',1796063629833789);
INSERT INTO seen VALUES(5,'alone',1796063629833789);
CREATE INDEX session_line ON session (turn) WHERE turn IS NOT NULL;
CREATE INDEX session_lock ON session (locked_until) WHERE locked_until IS NOT NULL;
CREATE INDEX message_ready ON message (session, due, locked_until) WHERE due IS NULL AND locked_until IS NULL;
CREATE INDEX message_lock ON message (locked_until) WHERE locked_until IS NOT NULL;
CREATE INDEX message_due ON message (due) WHERE due IS NOT NULL;
CREATE INDEX dead_letter_id ON dead_letter (message_id);
PRAGMA application_id = 1702063473;
PRAGMA user_version = 1;
COMMIT;
