// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

import assert from "node:assert/strict";
import { test } from "node:test";

import {
    assertServiceBusError, eventually, fastRetries, limit, receiveExactly, receiveOne, useEmulator,
} from "./harness.mjs";

const bench = useEmulator();

async function openQueue(settings) {
    const queue = await bench.queue(settings);
    const client = bench.client();
    const sender = client.createSender(queue);
    await sender.sendMessages({ messageId: "before", body: "x" });
    return { queue, client, sender };
}

/** Subscribes, and collects ids and errors. */
function collect(receiver) {
    const handled = [];
    const errors = [];
    receiver.subscribe({
        processMessage: async ({ messageId }) => {
            handled.push(messageId);
        },
        processError: async ({ error }) => {
            errors.push(error);
        },
    });
    return { handled, errors };
}

/** Sends. @returns false if the SDK took the end of its old connection for that of the one it was opening */
async function sent(sender, message) {
    try {
        await sender.sendMessages(message);
        return true;
    } catch (error) {
        if (error.message !== "Failed to connect") throw error;
        return false;
    }
}

for (const [name, body] of [["drop", {}], ["detach", {}], ["close", {}]]) {
    test(`${name}: sender and subscription of the SDK come back by themselves`, limit, async () => {
        const { queue, client, sender } = await openQueue();
        const { handled } = collect(client.createReceiver(queue));
        await eventually("the first message is handled", () => handled.includes("before"));
        await bench.emulator.fault(name, body);
        await eventually("a message is sent again", () => sent(sender, { messageId: "after", body: "x" }));
        await eventually("the second message is handled", () => handled.includes("after"), 10_000);
        await eventually("all is settled", async () => {
            const { active, locked } = await bench.emulator.queue(queue);
            return active + locked === 0;
        });
        assert.deepEqual(handled, ["before", "after"]);
    });
}

test("drop: a message held when the connection went comes again after its lock, one delivery on", limit, async () => {
    const { queue, client } = await openQueue({ lockDurationMs: 30_000 });
    const receiver = client.createReceiver(queue);
    const held = await receiveOne(receiver);
    assert.equal(held.messageId, "before");
    await bench.emulator.fault("drop");
    await eventually("the connection is gone", async () => (await bench.emulator.stats()).drops > 0);
    assert.equal((await bench.emulator.queue(queue)).locked, 1);
    await bench.emulator.advance(31_000);
    const again = await receiveOne(bench.client().createReceiver(queue));
    assert.equal(again.messageId, "before");
    assert.equal(again.deliveryCount, 1);
});

test("drop: a session is free at once, and its messages count no delivery", limit, async () => {
    const queue = await bench.queue({ requiresSession: true });
    const client = bench.client();
    await client.createSender(queue).sendMessages({ messageId: "a/1", sessionId: "a", body: "x" });
    await receiveOne(await client.acceptSession(queue, "a"));
    await bench.emulator.fault("drop");
    const again = await bench.client().acceptSession(queue, "a");
    assert.equal((await receiveOne(again)).deliveryCount, 0);
});

test("detach with a reason: the SDK reports that reason for an entity that is gone", limit, async () => {
    const { queue, client } = await openQueue();
    const { handled, errors } = collect(client.createReceiver(queue));
    await eventually("the first message is handled", () => handled.includes("before"));
    await bench.emulator.fault("detach", { entity: queue, condition: "com.microsoft:entity-disabled" });
    await eventually("the error is reported", () => errors.length > 0);
    assert.equal(errors[0].code, "MessagingEntityDisabled");
});

test("busy: refused at first, the SDK tries again until it is taken", limit, async () => {
    const { queue, sender } = await openQueue();
    await bench.emulator.fault("busy", { count: 2 });
    await sender.sendMessages({ messageId: "patient", body: "x" });
    assert.equal((await bench.emulator.queue(queue)).active, 2);
});

test("busy for longer than the SDK's patience: tells so", limit, async () => {
    const queue = await bench.queue();
    const sender = bench.client(undefined, { ...fastRetries, maxRetries: 1 }).createSender(queue);
    await sender.sendMessages({ messageId: "before", body: "x" });
    await bench.emulator.fault("busy", { count: 100 });
    await assertServiceBusError(sender.sendMessages({ messageId: "m", body: "x" }), "ServiceBusy");
    await bench.emulator.fault("busy", { count: 0 });
    assert.equal((await bench.emulator.queue(queue)).active, 1);
});

test("lost outcome: the SDK sends again, and duplicate detection keeps one", limit, async () => {
    const { queue, sender, client } = await openQueue({ duplicateDetectionWindowMs: 600_000 });
    const { duplicatesDropped } = await bench.emulator.stats();
    await bench.emulator.fault("lose-outcomes", { count: 1 });
    await sender.sendMessages({ messageId: "again", body: "x" });
    assert.equal((await bench.emulator.stats()).duplicatesDropped, duplicatesDropped + 1);
    const messages = await receiveExactly(client.createReceiver(queue), 2);
    assert.deepEqual(messages.map(({ messageId }) => messageId), ["before", "again"]);
    assert.equal((await bench.emulator.queue(queue)).active, 0);
});

test("lost outcome without duplicate detection: the message is there twice", limit, async () => {
    const { queue, sender } = await openQueue();
    await bench.emulator.fault("lose-outcomes", { count: 1 });
    await sender.sendMessages({ messageId: "again", body: "x" });
    assert.equal((await bench.emulator.queue(queue)).active, 3);
});

test("slow: answers come late, and come", limit, async () => {
    const { queue, sender } = await openQueue();
    await bench.emulator.fault("slow", { ms: 300 });
    const started = Date.now();
    await sender.sendMessages({ messageId: "late", body: "x" });
    const elapsed = Date.now() - started;
    await bench.emulator.fault("slow", { ms: 0 });
    assert.ok(elapsed >= 290, `after ${elapsed} ms`);
    assert.equal((await bench.emulator.queue(queue)).active, 2);
});

test("silent: the SDK gives up after its time-out, and works again when the service does", limit, async () => {
    const queue = await bench.queue();
    await bench.emulator.fault("silent", { on: true });
    const sender = bench.client(undefined, { maxRetries: 0, timeoutInMs: 700 }).createSender(queue);
    await assertServiceBusError(sender.sendMessages({ messageId: "m", body: "x" }), "ServiceTimeout");
    await bench.emulator.fault("silent", { on: false });
    await bench.client().createSender(queue).sendMessages({ messageId: "n", body: "x" });
    assert.equal((await bench.emulator.queue(queue)).active, 1);
});

test("refuse: no connection while it lasts, and one right after", limit, async () => {
    const { queue, sender } = await openQueue();
    await bench.emulator.fault("refuse", { on: true });
    await bench.emulator.fault("drop");
    const failing = bench.client(undefined, { ...fastRetries, maxRetries: 1 }).createSender(queue);
    await assert.rejects(failing.sendMessages({ messageId: "m", body: "x" }));
    await bench.emulator.fault("refuse", { on: false });
    await sender.sendMessages({ messageId: "n", body: "x" });
    assert.equal((await bench.emulator.queue(queue)).active, 2);
});

test("random drops and detaches: every message arrives, each stored once", { timeout: 30_000 }, async () => {
    const queue = await bench.queue({ duplicateDetectionWindowMs: 600_000 });
    // The SDK notices a send whose link was detached by its time-out only.
    const client = bench.client(undefined, { ...fastRetries, maxRetries: 20, timeoutInMs: 400 });
    const sender = client.createSender(queue);
    const ids = Array.from({ length: 60 }, (_, index) => `m-${index}`);
    await bench.emulator.fault("random", { dropProbability: 0.08, detachProbability: 0.08, seed: 7 });
    for (const messageId of ids) {
        await sender.sendMessages({ messageId, body: messageId });
    }
    await bench.emulator.fault("random", { dropProbability: 0, detachProbability: 0, seed: 7 });
    const messages = await receiveExactly(client.createReceiver(queue), ids.length);
    assert.deepEqual(messages.map(({ messageId }) => messageId).sort(), [...ids].sort());
    assert.equal((await bench.emulator.queue(queue)).active, 0);
});
