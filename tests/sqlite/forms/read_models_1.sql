-- Read models of the first schema, as the library of then wrote them.
BEGIN;
CREATE TABLE escqrs_checkpoints (name TEXT PRIMARY KEY, position INTEGER NOT NULL, replay_until INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO escqrs_checkpoints VALUES('balances_v1',4,0);
INSERT INTO escqrs_checkpoints VALUES('orders',4,9);
CREATE TABLE escqrs_read_models (name TEXT NOT NULL, version INTEGER NOT NULL, is_live INTEGER NOT NULL, tables TEXT NOT NULL, PRIMARY KEY (name, version)) WITHOUT ROWID;
INSERT INTO escqrs_read_models VALUES('balances',1,1,'balance ');
CREATE TABLE escqrs_parked_streams (projection TEXT NOT NULL, stream TEXT NOT NULL, version INTEGER NOT NULL, position INTEGER NOT NULL, last INTEGER NOT NULL, events INTEGER NOT NULL, error TEXT NOT NULL, unhandled_from INTEGER NOT NULL, PRIMARY KEY (projection, stream)) WITHOUT ROWID;
INSERT INTO escqrs_parked_streams VALUES('balances_v1','account-1',2,3,2,1,'cannot count it',2);
CREATE TABLE balance_v1 (stream TEXT PRIMARY KEY, cents INTEGER NOT NULL);
INSERT INTO balance_v1 VALUES('account-1',5);
CREATE TABLE escqrs_stream_checkpoints (projection TEXT NOT NULL, stream TEXT NOT NULL, version INTEGER NOT NULL, PRIMARY KEY (projection, stream)) WITHOUT ROWID;
INSERT INTO escqrs_stream_checkpoints VALUES('orders','account-1',2);
CREATE VIEW balance AS SELECT * FROM balance_v1;
COMMIT;
