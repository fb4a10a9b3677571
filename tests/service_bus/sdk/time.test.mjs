// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

import assert from "node:assert/strict";
import { test } from "node:test";

import {
    assertNothing, assertServiceBusError, eventually, limit, receiveExactly, receiveOne, useEmulator,
} from "./harness.mjs";

const bench = useEmulator();

async function openQueue(settings) {
    const queue = await bench.queue(settings);
    const client = await bench.lastingClient();
    return { queue, client, sender: client.createSender(queue), receiver: client.createReceiver(queue) };
}

// The first, because the SDK goes by the real time, which the clock has not left yet.
test("automatic renewal: the SDK keeps the lock while its handler runs", limit, async () => {
    const { queue, sender, receiver } = await openQueue({ lockDurationMs: 3_000 });
    await sender.sendMessages({ messageId: "long", body: "x" });
    let attempts = 0;
    let done = false;
    receiver.subscribe({
        processMessage: async () => {
            attempts += 1;
            const renewals = (await bench.emulator.stats()).renewals;
            await eventually("the lock is renewed", async () => (await bench.emulator.stats()).renewals > renewals);
            done = true;
        },
        processError: async () => {},
    });
    await eventually("the handler is done", () => done, 10_000);
    await eventually("the message is completed", async () => (await bench.emulator.queue(queue)).locked === 0);
    assert.equal(attempts, 1);
    assert.equal((await bench.emulator.queue(queue)).active, 0);
});

test("renew lock: the lock runs anew, and outlives the time it was first given", limit, async () => {
    const { queue, sender, receiver } = await openQueue({ lockDurationMs: 30_000 });
    await sender.sendMessages({ messageId: "slow", body: "x" });
    const message = await receiveOne(receiver);
    const first = message.lockedUntilUtc.getTime();
    await bench.emulator.advance(20_000);
    const renewed = await receiver.renewMessageLock(message);
    assert.ok(Math.abs(renewed.getTime() - first - 20_000) < 3_000, `${renewed.getTime() - first} ms later`);
    await bench.emulator.advance(20_000);
    assert.equal((await bench.emulator.queue(queue)).locked, 1);
    await receiver.completeMessage(message);
    assert.equal((await bench.emulator.queue(queue)).locked, 0);
});

test("lock lost: settling and renewing fail, and the message comes again with a delivery counted", limit, async () => {
    const { queue, sender, receiver } = await openQueue({ lockDurationMs: 30_000 });
    await sender.sendMessages({ messageId: "late", body: "x" });
    const late = await receiveOne(receiver);
    await bench.emulator.advance(31_000);
    assert.equal((await bench.emulator.queue(queue)).active, 1);
    await assertServiceBusError(receiver.renewMessageLock(late), "MessageLockLost");
    await assertServiceBusError(receiver.completeMessage(late), "MessageLockLost");
    const again = await receiveOne(receiver);
    assert.equal(again.messageId, "late");
    assert.equal(again.deliveryCount, 1);
    await receiver.completeMessage(again);
    const { active, locked } = await bench.emulator.queue(queue);
    assert.deepEqual({ active, locked }, { active: 0, locked: 0 });
});

test("lock lost too often: the message is dead-lettered, without another receive", limit, async () => {
    const { queue, client, sender, receiver } = await openQueue({ lockDurationMs: 10_000, maxDeliveryCount: 2 });
    await sender.sendMessages({ messageId: "hangs", body: "x" });
    for (const deliveryCount of [0, 1]) {
        assert.equal((await receiveOne(receiver)).deliveryCount, deliveryCount);
        await bench.emulator.advance(11_000);
    }
    const { active, deadLettered } = await bench.emulator.queue(queue);
    assert.deepEqual({ active, deadLettered }, { active: 0, deadLettered: 1 });
    const dead = await receiveOne(client.createReceiver(queue, { subQueueType: "deadLetter" }));
    assert.equal(dead.deadLetterReason, "MaxDeliveryCountExceeded");
});

test("closing a receiver leaves its locks to expire", limit, async () => {
    const { queue, client, sender, receiver } = await openQueue({ lockDurationMs: 30_000 });
    await sender.sendMessages({ messageId: "held", body: "x" });
    await receiveOne(receiver);
    await receiver.close();
    const other = client.createReceiver(queue);
    await assertNothing(other);
    await bench.emulator.advance(31_000);
    const again = await receiveOne(other);
    assert.equal(again.messageId, "held");
    assert.equal(again.deliveryCount, 1);
});

test("schedule: the message comes when it is due, and counts as enqueued then", limit, async () => {
    const { queue, sender, receiver } = await openQueue();
    const due = new Date((await bench.emulator.now()) + 3_600_000);
    const [number] = await sender.scheduleMessages({ messageId: "alarm", body: "x" }, due);
    assert.ok(number.toNumber() > 0);
    assert.equal((await bench.emulator.queue(queue)).scheduled, 1);
    await assertNothing(receiver);
    await bench.emulator.advance(3_599_000 - 60_000);
    assert.equal((await bench.emulator.queue(queue)).scheduled, 1);
    await bench.emulator.advance(61_000);
    const message = await receiveOne(receiver);
    assert.equal(message.messageId, "alarm");
    assert.ok(Math.abs(message.enqueuedTimeUtc.getTime() - due.getTime()) < 2_000, `${message.enqueuedTimeUtc}`);
    await receiver.completeMessage(message);
});

test("schedule by the message's own property, with a plain send", limit, async () => {
    const { queue, sender, receiver } = await openQueue();
    const scheduledEnqueueTimeUtc = new Date((await bench.emulator.now()) + 60_000);
    await sender.sendMessages({ messageId: "alarm", body: "x", scheduledEnqueueTimeUtc });
    assert.equal((await bench.emulator.queue(queue)).scheduled, 1);
    await bench.emulator.advance(61_000);
    assert.equal((await receiveOne(receiver)).messageId, "alarm");
});

test("cancel: scheduled messages that are cancelled never come", limit, async () => {
    const { queue, sender, receiver } = await openQueue();
    const due = new Date((await bench.emulator.now()) + 60_000);
    const numbers = await sender.scheduleMessages(
        ["a", "b", "c"].map((messageId) => ({ messageId, body: messageId })), due);
    assert.equal(numbers.length, 3);
    await sender.cancelScheduledMessages([numbers[0], numbers[2]]);
    assert.equal((await bench.emulator.queue(queue)).scheduled, 1);
    await bench.emulator.advance(61_000);
    const messages = await receiveExactly(receiver, 1);
    assert.deepEqual(messages.map(({ messageId }) => messageId), ["b"]);
    await receiver.completeMessage(messages[0]);
    await assertNothing(receiver);
    await assertServiceBusError(sender.cancelScheduledMessages(numbers[0]), "MessageNotFound");
});

test("time to live: a message that is not taken in time is gone", limit, async () => {
    const { queue, sender, receiver } = await openQueue();
    await sender.sendMessages([
        { messageId: "brief", body: "x", timeToLive: 10_000 }, { messageId: "lasting", body: "y" },
    ]);
    await bench.emulator.advance(11_000);
    const message = await receiveOne(receiver);
    assert.equal(message.messageId, "lasting");
    await receiver.completeMessage(message);
    assert.equal((await bench.emulator.queue(queue)).active, 0);
});

test("time to live of the queue is the longest a message has", limit, async () => {
    const { queue, sender } = await openQueue({ defaultTtlMs: 10_000 });
    await sender.sendMessages({ messageId: "hopeful", body: "x", timeToLive: 3_600_000 });
    assert.equal((await bench.emulator.queue(queue)).active, 1);
    await bench.emulator.advance(11_000);
    assert.equal((await bench.emulator.queue(queue)).active, 0);
});

test("duplicate detection: the same id within the window is accepted and dropped", limit, async () => {
    const { queue, sender, receiver } = await openQueue({ duplicateDetectionWindowMs: 600_000 });
    await sender.sendMessages({ messageId: "once", body: "first" });
    await sender.sendMessages({ messageId: "once", body: "second" });
    await sender.sendMessages([{ messageId: "once", body: "third" }, { messageId: "other", body: "fourth" }]);
    const messages = await receiveExactly(receiver, 2);
    assert.deepEqual(messages.map(({ body }) => body), ["first", "fourth"]);
    await Promise.all(messages.map((message) => receiver.completeMessage(message)));
    await sender.sendMessages({ messageId: "once", body: "fifth" });
    assert.equal((await bench.emulator.queue(queue)).active, 0, "completed ones count as well");
    await bench.emulator.advance(601_000);
    await sender.sendMessages({ messageId: "once", body: "sixth" });
    assert.equal((await bench.emulator.queue(queue)).active, 1, "the window is over");
});
