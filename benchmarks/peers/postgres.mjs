// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

// Emmett's PostgreSQL event store: postgres.mjs ADDRESS
//
// postgres_append/   from 1, 8, 32 and 64 producers, with a connection for each
// postgres_replay/   a log of 200,000 events; a stream of 10,000 in it
//
// The log is read in one page. Emmett's consumers take pages of 100 and pause between them; as no index has the order
// of the log, each page is looked for in all that follows, so that one page is the fastest way there is. The connections
// are in the clear, while those of ../postgres.cpp are encrypted, which is libpq's default where the server can do it.

import { dumbo } from "@event-driven-io/dumbo";
import { getPostgreSQLEventStore, readMessagesBatch } from "@event-driven-io/emmett-postgresql";
import pg from "pg";

import * as support from "./support.mjs";

const { countWhole, isQuick, measureProducers, measureReplay, newEvent, newEvents } = support;
const [address] = support.parameters;
const longStream = "stream-1000000";
const longStreamEvents = 10_000;
const logEvents = isQuick ? 20_000 : 200_000;

const pool = new pg.Pool({ connectionString: address, max: 64 });
const store = getPostgreSQLEventStore(address, { connectionOptions: { pool } });

/** A log with a long stream at its end. */
async function fill() {
    for (let part = 0; part < (logEvents - longStreamEvents) / 1000; ++part) {
        await store.appendToStream(`stream-${part % 200}`, newEvents(1000));
    }
    for (let part = 0; part < longStreamEvents / 1000; ++part) await store.appendToStream(longStream, newEvents(1000));
    await pool.query("VACUUM ANALYZE");
}

async function measureReplays() {
    await fill();
    const { execute } = dumbo({ connectionString: address, pool });
    await measureReplay("postgres_replay/log/emmett", logEvents,
        async () => countWhole((await readMessagesBatch(execute, { after: 0n, batchSize: logEvents })).messages));
    await measureReplay("postgres_replay/stream/emmett", longStreamEvents,
        async () => countWhole((await store.readStream(longStream)).events));
    await store.schema.dangerous.truncate();
}

try {
    await measureReplays();
    for (const producers of [1, 8, 32, 64]) {
        await measureProducers(`postgres_append/emmett/${producers}`, producers,
            (_, stream) => store.appendToStream(stream, [newEvent()]));
    }
    support.printFound();
} finally {
    await pool.end();
}
