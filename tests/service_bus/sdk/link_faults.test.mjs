// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

import assert from "node:assert/strict";
import { test } from "node:test";

import { eventually, fastRetries, limit, receiveExactly, receiveOne, useEmulator } from "./harness.mjs";

const bench = useEmulator();

const message = (messageId) => ({ messageId, body: "x" });

async function attaches() {
    return (await bench.emulator.stats()).attaches;
}

for (const ms of [100, 600, null]) {
    const when = ms === null ? "never answered" : `answered after ${ms} ms`;
    test(`a drain that is ${when}: the SDK still hands out what has come`, limit, async () => {
        const queue = await bench.queue();
        const client = bench.client();
        const sender = client.createSender(queue);
        await bench.emulator.fault("drain", { ms });
        await sender.sendMessages([message("a"), message("b")]);
        const receiver = client.createReceiver(queue);
        const received = await receiver.receiveMessages(10, { maxWaitTimeInMs: 5_000 });
        await bench.emulator.fault("none");
        assert.deepEqual(received.map(({ messageId }) => messageId), ["a", "b"]);
    });
}

test("an accept that is refused at once: the SDK reports it, and may ask again", limit, async () => {
    const queue = await bench.queue({ requiresSession: true });
    await bench.emulator.fault("attach", { how: "refused", entity: queue });
    const client = bench.client(undefined, { maxRetries: 0, timeoutInMs: 10_000 });
    await assert.rejects(client.acceptNextSession(queue), /Refused at once/);
    await bench.emulator.fault("none");
    await client.createSender(queue).sendMessages({ ...message("m"), sessionId: "s" });
    const session = await client.acceptNextSession(queue);
    assert.equal((await receiveOne(session)).messageId, "m");
});

for (const how of ["detached", "closed"]) {
    test(`attach, then ${how}: the SDK comes through when that ends`, limit, async () => {
        const queue = await bench.queue();
        const before = await attaches();
        await bench.emulator.fault("attach", { how, entity: queue, count: 2 });
        const client = bench.client(undefined, { ...fastRetries, maxRetries: 10 });
        const sender = client.createSender(queue);
        await eventually("a message is sent", () => sender.sendMessages(message("m")).then(() => true, () => false));
        assert.ok(await attaches() >= before + 3);
        const received = await receiveExactly(client.createReceiver(queue), 1);
        assert.equal(received[0].messageId, "m");
    });
}

test("a fault is for as many attaches, and for the entity, that were named", limit, async () => {
    const [struck, spared] = [await bench.queue(), await bench.queue()];
    await bench.emulator.fault("attach", { how: "refused", entity: struck, condition: "amqp:not-allowed", count: 1 });
    const client = bench.client(undefined, { maxRetries: 0, timeoutInMs: 2_000 });
    await client.createSender(spared).sendMessages(message("m"));
    await assert.rejects(client.createSender(struck).sendMessages(message("m")));
    await client.createSender(struck).sendMessages(message("m"));
    assert.equal((await bench.emulator.queue(struck)).active, 1);
    await assert.rejects(bench.emulator.fault("attach", { how: "politely" }), /expected one of unanswered/);
});
