// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

// Emmett's SQLite event store, in its own folder below the current one (a real disk):
//
// sqlite_append/   from 1, 8 and 32 producers
// sqlite_replay/   a stream of 10,000 events in a log of 1,000,000
//
// It runs as escqrs's own store does: with synchronous = FULL, which is SQLite's default and said here again, and in WAL
// mode, which Emmett asks for as well, but does not wait for, so that its first transaction may come first and leave the
// database without. Its producers take turns with one connection. Emmett's own ways do not do: with a connection for each
// call, its default, appends side by side fail because the database is locked; on a connection that all share they become
// one transaction, and callers are told that their events are stored before it is committed.

import { mkdtempSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";

import { getSQLiteEventStore, sqliteConnection } from "@event-driven-io/emmett-sqlite";

import { countWhole, isQuick, measureProducers, measureReplay, newEvent, newEvents, printFound } from "./support.mjs";

const longStream = "stream-1000000";
const longStreamEvents = 10_000;
const logEvents = isQuick ? 50_000 : 1_000_000;

async function open(path) {
    const connection = sqliteConnection({ fileName: path });
    for (const setting of ["journal_mode = WAL", "synchronous = FULL"]) await connection.command(`PRAGMA ${setting}`);
    const store = getSQLiteEventStore({ fileName: path, connectionOptions: { singleton: true, connection } });
    await store.schema.migrate();
    const { journal_mode: mode } = await connection.querySingle("PRAGMA journal_mode");
    const { synchronous } = await connection.querySingle("PRAGMA synchronous");
    if (mode !== "wal" || synchronous !== 2) throw new Error(`expected WAL and FULL, not ${mode} and ${synchronous}`);
    return { connection, store };
}

async function measureAppends(path, producers) {
    const { connection, store } = await open(path);
    let last = Promise.resolve();
    await measureProducers(`sqlite_append/emmett/${producers}`, producers, (_, stream) => {
        last = last.then(() => store.appendToStream(stream, [newEvent()]));
        return last;
    });
    connection.close();
}

/** A log of 1,000 streams that grew side by side, and of a long one among them. */
async function fill({ connection, store }) {
    const parts = (logEvents - longStreamEvents) / 10;
    const partsForEachOfLong = Math.floor(parts / (longStreamEvents / 10));
    for (let part = 0; part < parts;) {
        await connection.withTransaction(async () => {
            for (const end = Math.min(part + 1000, parts); part < end; ++part) {
                await store.appendToStream(`stream-${part % 1000}`, newEvents(10));
                if (part % partsForEachOfLong === 0) await store.appendToStream(longStream, newEvents(10));
            }
        });
    }
}

async function measureStream(path) {
    const log = await open(path);
    await fill(log);
    await measureReplay("sqlite_replay/stream/emmett", longStreamEvents,
        async () => countWhole((await log.store.readStream(longStream)).events));
    log.connection.close();
}

const folder = mkdtempSync(join(resolve("."), "peers-"));
try {
    for (const producers of [1, 8, 32]) await measureAppends(join(folder, `append-${producers}.db`), producers);
    await measureStream(join(folder, "read.db"));
    printFound();
} finally {
    rmSync(folder, { recursive: true });
}
