// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

import assert from "node:assert/strict";
import { test } from "node:test";

import {
    assertNothing, assertServiceBusError, limit, receiveExactly, receiveOne, useEmulator,
} from "./harness.mjs";

const bench = useEmulator();

/** A queue with these messages in it, and a receiver that holds it in peek-lock. */
async function queueWith(messages, settings) {
    const queue = await bench.queue(settings);
    const client = bench.client();
    await client.createSender(queue).sendMessages(messages);
    return { queue, client, receiver: client.createReceiver(queue) };
}

test("complete: a message comes as it was sent, and is gone when completed", limit, async () => {
    const before = Date.now();
    const { queue, receiver } = await queueWith({
        messageId: "order-1", body: { total: 42 }, contentType: "application/json", subject: "OrderPlaced",
        correlationId: "cause-1", to: "elsewhere", replyTo: "answers", partitionKey: "part",
        timeToLive: 60_000, applicationProperties: { text: "ä", number: 7, flag: true },
    });
    const message = await receiveOne(receiver);
    const { messageId, contentType, subject, correlationId, to, replyTo, partitionKey, timeToLive } = message;
    assert.deepEqual({ messageId, contentType, subject, correlationId, to, replyTo, partitionKey, timeToLive }, {
        messageId: "order-1", contentType: "application/json", subject: "OrderPlaced", correlationId: "cause-1",
        to: "elsewhere", replyTo: "answers", partitionKey: "part", timeToLive: 60_000,
    });
    assert.deepEqual(message.body, { total: 42 });
    assert.deepEqual(message.applicationProperties, { text: "ä", number: 7, flag: true });
    assert.equal(message.deliveryCount, 0);
    assert.equal(message.sequenceNumber.toString(), "1");
    assert.equal(message.state, "active");
    assert.ok(Math.abs(message.enqueuedTimeUtc.getTime() - before) < 5_000, `${message.enqueuedTimeUtc}`);
    const lockedMs = message.lockedUntilUtc.getTime() - message.enqueuedTimeUtc.getTime();
    assert.ok(lockedMs >= 60_000 && lockedMs < 65_000, `locked for ${lockedMs} ms`);
    assert.equal((await bench.emulator.queue(queue)).locked, 1);

    await receiver.completeMessage(message);

    const { active, locked, deadLettered } = await bench.emulator.queue(queue);
    assert.deepEqual({ active, locked, deadLettered }, { active: 0, locked: 0, deadLettered: 0 });
});

test("batch: every message of a batch is a separate message, in order", limit, async () => {
    const queue = await bench.queue();
    const client = bench.client();
    const sender = client.createSender(queue);
    const batch = await sender.createMessageBatch();
    const ids = Array.from({ length: 100 }, (_, index) => `m-${index}`);
    for (const messageId of ids) {
        assert.ok(batch.tryAddMessage({ messageId, body: `body of ${messageId}`, applicationProperties: { messageId } }));
    }
    await sender.sendMessages(batch);
    const receiver = client.createReceiver(queue);
    const messages = await receiveExactly(receiver, 100);
    assert.deepEqual(messages.map(({ messageId }) => messageId), ids);
    assert.deepEqual(messages.map(({ body }) => body), ids.map((id) => `body of ${id}`));
    assert.deepEqual(messages.map(({ applicationProperties }) => applicationProperties.messageId), ids);
    assert.deepEqual(messages.map(({ sequenceNumber }) => sequenceNumber.toNumber()), ids.map((_, index) => index + 1));
    await Promise.all(messages.map((message) => receiver.completeMessage(message)));
    assert.equal((await bench.emulator.queue(queue)).locked, 0);
});

test("abandon: the message comes again at once, one delivery on, with changed properties", limit, async () => {
    const { receiver } = await queueWith([
        { messageId: "first", body: "a", applicationProperties: { kept: "yes", tries: 0 } },
        { messageId: "second", body: "b" },
    ]);
    const first = await receiveOne(receiver);
    await receiver.abandonMessage(first, { tries: 1 });
    const again = await receiveOne(receiver);
    assert.equal(again.messageId, "first");
    assert.equal(again.deliveryCount, 1);
    assert.equal(again.sequenceNumber.toString(), first.sequenceNumber.toString());
    assert.notEqual(again.lockToken, first.lockToken);
    assert.deepEqual(again.applicationProperties, { kept: "yes", tries: 1 });
    assert.equal(again.body, "a");
    await receiver.completeMessage(again);
    assert.equal((await receiveOne(receiver)).messageId, "second");
});

test("dead-letter: reason, description and properties are on the message in the dead-letter queue", limit, async () => {
    const { queue, client, receiver } = await queueWith({ messageId: "poison", body: "x",
        applicationProperties: { kept: 1 } });
    const poison = await receiveOne(receiver);
    await receiver.deadLetterMessage(poison, {
        deadLetterReason: "CannotRead", deadLetterErrorDescription: "no such event type", seen: "twice",
    });
    await assertNothing(receiver);
    assert.equal((await bench.emulator.queue(queue)).deadLettered, 1);
    const graveyard = client.createReceiver(queue, { subQueueType: "deadLetter" });
    const dead = await receiveOne(graveyard);
    assert.equal(dead.messageId, "poison");
    assert.equal(dead.body, "x");
    assert.equal(dead.deadLetterReason, "CannotRead");
    assert.equal(dead.deadLetterErrorDescription, "no such event type");
    assert.deepEqual(dead.applicationProperties, {
        kept: 1, seen: "twice", DeadLetterReason: "CannotRead", DeadLetterErrorDescription: "no such event type",
    });
    assert.equal(dead.enqueuedTimeUtc.getTime(), poison.enqueuedTimeUtc.getTime());
    assert.equal(dead.sequenceNumber.toString(), poison.sequenceNumber.toString());
    await graveyard.completeMessage(dead);
    assert.equal((await bench.emulator.queue(queue)).deadLettered, 0);
});

test("dead-letter queue: abandon gives the message back, however often", limit, async () => {
    const { queue, client, receiver } = await queueWith({ messageId: "poison", body: "x" }, { maxDeliveryCount: 2 });
    await receiver.deadLetterMessage(await receiveOne(receiver));
    const graveyard = client.createReceiver(queue, { subQueueType: "deadLetter" });
    for (let round = 0; round < 4; ++round) {
        const dead = await receiveOne(graveyard);
        assert.equal(dead.messageId, "poison");
        await graveyard.abandonMessage(dead);
    }
    assert.equal((await bench.emulator.queue(queue)).deadLettered, 1);
});

test("maximum delivery count: abandoned that often, it is dead-lettered by the service", limit, async () => {
    const { queue, client, receiver } = await queueWith({ messageId: "unlucky", body: "x" }, { maxDeliveryCount: 10 });
    const counts = [];
    for (let round = 0; round < 10; ++round) {
        const message = await receiveOne(receiver);
        counts.push(message.deliveryCount);
        await receiver.abandonMessage(message);
    }
    assert.deepEqual(counts, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert.equal((await bench.emulator.queue(queue)).deadLettered, 1);
    const dead = await receiveOne(client.createReceiver(queue, { subQueueType: "deadLetter" }));
    assert.equal(dead.messageId, "unlucky");
    assert.equal(dead.deadLetterReason, "MaxDeliveryCountExceeded");
    assert.ok(dead.deadLetterErrorDescription.length > 0);
});

test("defer: the message is taken by its sequence number, and by nothing else", limit, async () => {
    const { queue, receiver } = await queueWith({ messageId: "later", body: "x" });
    const message = await receiveOne(receiver);
    await receiver.deferMessage(message, { step: 2 });
    await assertNothing(receiver);
    assert.equal((await bench.emulator.queue(queue)).deferred, 1);
    const [deferred] = await receiver.receiveDeferredMessages(message.sequenceNumber);
    assert.equal(deferred.messageId, "later");
    assert.equal(deferred.state, "deferred");
    assert.deepEqual(deferred.applicationProperties, { step: 2 });
    await receiver.completeMessage(deferred);
    assert.equal((await bench.emulator.queue(queue)).deferred, 0);
    await assertServiceBusError(receiver.receiveDeferredMessages(message.sequenceNumber), "MessageNotFound");
});

test("peek: shows what is there, in order, and locks nothing", limit, async () => {
    const { queue, receiver } = await queueWith(["a", "b", "c"].map((messageId) => ({ messageId, body: messageId })));
    const taken = await receiveOne(receiver);
    const peeked = await receiver.peekMessages(10);
    assert.deepEqual(peeked.map(({ messageId }) => messageId), ["a", "b", "c"]);
    assert.deepEqual(peeked.map(({ sequenceNumber }) => sequenceNumber.toNumber()), [1, 2, 3]);
    const rest = await receiver.peekMessages(10, { fromSequenceNumber: peeked[1].sequenceNumber });
    assert.deepEqual(rest.map(({ messageId }) => messageId), ["b", "c"]);
    const { active, locked } = await bench.emulator.queue(queue);
    assert.deepEqual({ active, locked }, { active: 2, locked: 1 });
    await receiver.completeMessage(taken);
});

test("receive-and-delete: taken is gone, without any settlement", limit, async () => {
    const { queue, client } = await queueWith([{ messageId: "a", body: 1 }, { messageId: "b", body: 2 }]);
    const receiver = client.createReceiver(queue, { receiveMode: "receiveAndDelete" });
    const messages = await receiveExactly(receiver, 2);
    assert.deepEqual(messages.map(({ messageId }) => messageId), ["a", "b"]);
    const { active, locked, deadLettered } = await bench.emulator.queue(queue);
    assert.deepEqual({ active, locked, deadLettered }, { active: 0, locked: 0, deadLettered: 0 });
});

test("subscribe: fifty messages, each handled once and completed by the SDK", limit, async () => {
    const ids = Array.from({ length: 50 }, (_, index) => `m-${index}`);
    const { queue, receiver } = await queueWith(ids.map((messageId) => ({ messageId, body: messageId })));
    const handled = [];
    const failures = [];
    await new Promise((resolve) => {
        receiver.subscribe({
            processMessage: async ({ messageId }) => {
                handled.push(messageId);
                if (handled.length === ids.length) {
                    resolve();
                }
            },
            processError: async ({ error }) => {
                failures.push(error);
                resolve();
            },
        }, { maxConcurrentCalls: 5 });
    });
    await receiver.close();
    assert.deepEqual(failures, []);
    assert.deepEqual(handled.sort(), [...ids].sort());
    const { active, locked } = await bench.emulator.queue(queue);
    assert.deepEqual({ active, locked }, { active: 0, locked: 0 });
});

test("large messages: one just within the limit passes, one over it is refused and the queue lives on", limit, async () => {
    const queue = await bench.queue({ maxMessageSize: 262_144 });
    const client = bench.client();
    const sender = client.createSender(queue);
    const large = Buffer.alloc(261_000, "x");
    await sender.sendMessages({ messageId: "large", body: large });
    await assertServiceBusError(sender.sendMessages({ messageId: "huge", body: Buffer.alloc(270_000) }),
        "MessageSizeExceeded");
    await sender.sendMessages({ messageId: "small", body: "x" });
    const receiver = client.createReceiver(queue);
    const messages = await receiveExactly(receiver, 2);
    assert.deepEqual(messages.map(({ messageId }) => messageId), ["large", "small"]);
    assert.ok(large.equals(messages[0].body));
});
