// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

// Emmett in memory:
//
// send/           a command to a handler that does next to nothing
// publish/        an event to 1 and 4 subscribers that do next to nothing
// command/        load 10 events, decide, append 1, in a store of 1,000 such streams
// growth_peers/   an append to streams of ten events, in stores of 10 to 100,000 events

import { randomUUID } from "node:crypto";

import { CommandHandler, getInMemoryEventStore, getInMemoryMessageBus } from "@event-driven-io/emmett";

import { isQuick, keep, measureCalls, nanosecondsOf, newEvent, newEvents, printFound } from "./support.mjs";

const eventsPerStream = 10;

async function measureSend() {
    const bus = getInMemoryMessageBus();
    let value = 0;
    bus.handle((command) => { value = command.data.value + 1; }, "Trivial");
    await measureCalls("send/emmett", 100_000, () => bus.send({ type: "Trivial", data: { value } }));
}

async function measurePublish(subscribers) {
    const bus = getInMemoryMessageBus();
    const event = { type: "AttendeeEmailConfirmed", data: { code: 1 } };
    let sum = 0;
    const add = (confirmed) => { sum += confirmed.data.code; };
    for (let count = 0; count < subscribers; ++count) bus.subscribe(add, event.type);
    await bus.publish(event);
    if (sum !== subscribers) throw new Error("an event was not handed over");
    await measureCalls(`publish/emmett/${subscribers}`, 100_000, () => bus.publish(event));
}

// The attendee of ../support/attendee.hpp.
const emailChanged = (email, code) => ({ type: "AttendeeEmailChanged", data: { email, code } });
const registered = (conference) => ({
    type: "AttendeeRegistered",
    data: { conference, name: "Ada Lovelace, Countess", email: "ada@example.org" },
});
const initialState = () => ({ email: "", code: 0, changes: 0, isConfirmed: false, isRegistered: false });

function evolve(state, { type, data }) {
    switch (type) {
        case "AttendeeRegistered": return { ...state, email: data.email, isRegistered: true };
        case "AttendeeEmailChanged":
            return { ...state, email: data.email, code: data.code, isConfirmed: false, changes: state.changes + 1 };
        case "AttendeeEmailConfirmed": return { ...state, isConfirmed: data.code === state.code };
        case "AttendeeUnregistered": return { ...state, isRegistered: false, changes: state.changes + data.reason };
        default: return state;
    }
}

/** Each stream gets one command, so that all of them find 10 events. */
async function measureCommand() {
    const streams = 1000;
    const handle = CommandHandler({ evolve, initialState });
    const fill = async () => {
        const store = getInMemoryEventStore();
        const names = Array.from({ length: streams }, () => `attendee-${randomUUID()}`);
        for (const name of names) {
            const events = [registered(name)];
            while (events.length < eventsPerStream) {
                events.push(emailChanged("ada.lovelace@example.org", events.length));
            }
            await store.appendToStream(name, events);
        }
        return { store, names };
    };
    const times = isQuick ? 3 : 15;
    const warmUp = 3;
    const filled = [];
    while (filled.length < warmUp + times) filled.push(await fill());
    const handleAll = async () => {
        const { store, names } = filled.pop();
        for (const name of names) {
            await handle(store, name, (state) => emailChanged("countess.of.lovelace@example.org", state.code + 1));
        }
    };
    await nanosecondsOf(streams, handleAll, warmUp);
    keep("command/emmett", await nanosecondsOf(streams, handleAll, times));
}

/** As many small stores as it takes to append to each stream but once, so that all appends find 10 events. */
async function measureGrowth(streams) {
    const appends = 200;
    const times = isQuick ? 3 : 15;
    const places = [];
    while (places.length < appends * times) {
        const store = getInMemoryEventStore();
        for (let stream = 0; stream < streams; ++stream) {
            await store.appendToStream(`stream-${stream}`, newEvents(eventsPerStream));
            places.push({ store, name: `stream-${stream}` });
        }
    }
    const append = async (repetition) => {
        for (const { store, name } of places.slice(repetition * appends, (repetition + 1) * appends)) {
            await store.appendToStream(name, [newEvent()]);
        }
    };
    keep(`growth_peers/memory/append/emmett/${streams * eventsPerStream}`, await nanosecondsOf(appends, append, times));
}

await measureSend();
for (const subscribers of [1, 4]) await measurePublish(subscribers);
await measureCommand();
for (const streams of isQuick ? [1, 10, 100, 1000] : [1, 10, 100, 1000, 10_000]) await measureGrowth(streams);
printFound();
