// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

// What the peers' scripts share: the events of ../support/payload.hpp, and how is measured and printed.
//
// Each script takes --quick (few repetitions, small logs), and prints {"name": {"ns": …, "items_per_second": …}}.
//
// emmett-sqlite asks for a later patch of emmett than the others do, but has a copy of it inside: package.json overrides
// what it asks for.

import { parseArgs } from "node:util";

const { values, positionals } = parseArgs({
    options: { quick: { type: "boolean", default: false } },
    allowPositionals: true,
});
export const isQuick = values.quick;
export const parameters = positionals;

const repetitions = isQuick ? 3 : 5;
const streamsPerProducer = 100;

/** 200 bytes with 100 bytes of metadata, in JSON, to which the stores add what they need. */
export const newEvent = () => ({
    type: "SomethingHappened",
    data: { payload: "p".repeat(200 - '{"payload":""}'.length) },
    metadata: { metadata: "m".repeat(100 - '{"metadata":""}'.length) },
});
export const newEvents = (count) => Array.from({ length: count }, newEvent);

const found = {};
export const keep = (name, nanoseconds) => {
    found[name] = { ns: nanoseconds, items_per_second: 1e9 / nanoseconds };
};
export const printFound = () => process.stdout.write(`${JSON.stringify(found, null, 1)}\n`);

const median = (numbers) => [...numbers].sort((left, right) => left - right)[Math.floor(numbers.length / 2)];

/** Nanoseconds for each of the calls: the median of repetitions of `work(repetition)`, which makes so many. */
export async function nanosecondsOf(calls, work, times = repetitions) {
    const measured = [];
    for (let repetition = 0; repetition < times; ++repetition) {
        const begin = performance.now();
        await work(repetition);
        measured.push(((performance.now() - begin) * 1e6) / calls);
    }
    return median(measured);
}

/** Calls as often as is said, one after the other; what the compiler learns while it is at it is learnt before. */
export async function measureCalls(name, calls, call) {
    const work = async () => {
        for (let count = 0; count < calls; ++count) await call(count);
    };
    await nanosecondsOf(calls, work);
    keep(name, await nanosecondsOf(calls, work, isQuick ? 3 : 15));
}

/** As ../support/producers.hpp: each producer waits for its append before the next, with streams of its own in turn. */
export async function measureProducers(name, producers, append) {
    const produce = async (milliseconds) => {
        const begin = performance.now();
        let appends = 0;
        const producing = Array.from({ length: producers }, async (_, producer) => {
            for (let count = 0; performance.now() < begin + milliseconds; ++count, ++appends) {
                await append(producer, `stream-${producer * streamsPerProducer + (count % streamsPerProducer)}`);
            }
        });
        await Promise.all(producing);
        return ((performance.now() - begin) * 1e6) / appends;
    };
    await produce(isQuick ? 200 : 1000);
    const measured = [];
    while (measured.length < repetitions) measured.push(await produce(isQuick ? 200 : 1000));
    keep(name, median(measured));
}

/** `read()` returns how many events it has seen. */
export async function measureReplay(name, events, read) {
    const work = async () => {
        const seen = await read();
        if (seen !== events) throw new Error(`${name}: expected ${events} events, saw ${seen}`);
    };
    await work();
    keep(name, await nanosecondsOf(events, work));
}

/** How many of the events have a payload. */
export const countWhole = (events) => events.filter(({ data }) => data.payload.length > 0).length;
