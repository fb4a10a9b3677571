// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

import assert from "node:assert/strict";
import { test } from "node:test";

import {
    assertNothing, assertServiceBusError, eventually, fastRetries, limit, receiveExactly, receiveOne, useEmulator,
} from "./harness.mjs";

const bench = useEmulator();

/** A session queue with messages in it, given as "session/id". */
async function sessionQueue(paths, settings = {}) {
    const queue = await bench.queue({ requiresSession: true, ...settings });
    const client = bench.client();
    if (paths.length > 0) {
        await client.createSender(queue).sendMessages(paths.map((path) => {
            const [sessionId] = path.split("/");
            return { messageId: path, sessionId, body: path };
        }));
    }
    return { queue, client };
}

function ids(messages) {
    return messages.map(({ messageId }) => messageId);
}

test("a session gives its own messages, in the order they were sent", limit, async () => {
    const { queue, client } = await sessionQueue(["a/1", "b/1", "a/2", "b/2", "a/3"]);
    const session = await client.acceptSession(queue, "a");
    assert.equal(session.sessionId, "a");
    const messages = await receiveExactly(session, 3);
    assert.deepEqual(ids(messages), ["a/1", "a/2", "a/3"]);
    assert.ok(messages.every(({ sessionId }) => sessionId === "a"));
    await assertNothing(session);
    for (const message of messages) {
        await session.completeMessage(message);
    }
    await session.close();
    const { active, locked } = await bench.emulator.queue(queue);
    assert.deepEqual({ active, locked }, { active: 2, locked: 0 });
});

test("a session is held by one receiver at a time, and free once it is closed", limit, async () => {
    const { queue, client } = await sessionQueue(["a/1"]);
    const session = await client.acceptSession(queue, "a");
    const other = bench.client(undefined, { ...fastRetries, maxRetries: 0 });
    await assertServiceBusError(other.acceptSession(queue, "a"), "SessionCannotBeLocked");
    await session.close();
    const again = await other.acceptSession(queue, "a");
    assert.deepEqual(ids([await receiveOne(again)]), ["a/1"]);
});

test("next session: each call takes another session that has messages", limit, async () => {
    const { queue, client } = await sessionQueue(["b/1", "a/1", "c/1"]);
    const sessions = [];
    for (let count = 0; count < 3; ++count) {
        sessions.push(await client.acceptNextSession(queue));
    }
    assert.deepEqual(sessions.map(({ sessionId }) => sessionId), ["b", "a", "c"], "the oldest message goes first");
    for (const session of sessions) {
        const message = await receiveOne(session);
        assert.equal(message.messageId, `${session.sessionId}/1`);
        await session.completeMessage(message);
    }
});

test("next session: waits for one to come", limit, async () => {
    const { queue, client } = await sessionQueue([]);
    const waiting = client.acceptNextSession(queue);
    await eventually("the receiver waits", async () => (await bench.emulator.stats()).attaches > 0);
    await new Promise((resolve) => setTimeout(resolve, 200));
    await client.createSender(queue).sendMessages({ messageId: "late/1", sessionId: "late", body: "x" });
    const session = await waiting;
    assert.equal(session.sessionId, "late");
    await session.completeMessage(await receiveOne(session));
});

test("next session: tells after its time-out that there is none", limit, async () => {
    const { queue } = await sessionQueue([]);
    const client = bench.client(undefined, { maxRetries: 0, timeoutInMs: 1_000 });
    const started = Date.now();
    await assertServiceBusError(client.acceptNextSession(queue), "ServiceTimeout");
    const elapsed = Date.now() - started;
    assert.ok(elapsed >= 800 && elapsed < 3_000, `after ${elapsed} ms`);
});

test("session state: kept with the session, also without a receiver and without messages", limit, async () => {
    const { queue, client } = await sessionQueue([]);
    const first = await client.acceptSession(queue, "a");
    assert.equal(await first.getSessionState(), null);
    await first.setSessionState({ step: 3 });
    await first.close();
    const second = await client.acceptSession(queue, "a");
    assert.deepEqual(await second.getSessionState(), { step: 3 });
    await second.setSessionState(null);
    assert.equal(await second.getSessionState(), null);
});

test("renew session lock: the session outlives the time it was first given", limit, async () => {
    const { queue, client } = await sessionQueue(["a/1"], { lockDurationMs: 30_000 });
    const session = await client.acceptSession(queue, "a", { maxAutoLockRenewalDurationInMs: 0 });
    const message = await receiveOne(session);
    const first = session.sessionLockedUntilUtc.getTime();
    const lockedFor = first - (await bench.emulator.now());
    assert.ok(lockedFor > 25_000 && lockedFor <= 30_000, `locked for ${lockedFor} ms`);
    await bench.emulator.advance(20_000);
    const renewed = await session.renewSessionLock();
    assert.ok(Math.abs(renewed.getTime() - first - 20_000) < 3_000, `${renewed.getTime() - first} ms later`);
    await bench.emulator.advance(20_000);
    await session.completeMessage(message);
    assert.equal((await bench.emulator.queue(queue)).locked, 0);
});

test("session lock lost: settling fails, and the next holder has the message with a delivery counted", limit, async () => {
    const { queue, client } = await sessionQueue(["a/1", "a/2"], { lockDurationMs: 30_000 });
    const session = await client.acceptSession(queue, "a", { maxAutoLockRenewalDurationInMs: 0 });
    const message = await receiveOne(session);
    await bench.emulator.advance(31_000);
    await eventually("the SDK has noticed", () => session.isClosed); // it waits for a settlement that crosses the detach
    await assertServiceBusError(session.completeMessage(message), "SessionLockLost");
    const again = await client.acceptSession(queue, "a", { maxAutoLockRenewalDurationInMs: 0 });
    const messages = await receiveExactly(again, 2);
    assert.deepEqual(messages.map(({ messageId, deliveryCount }) => `${messageId} ${deliveryCount}`),
        ["a/1 1", "a/2 0"]);
});

test("abandon in a session: the message comes again before those after it", limit, async () => {
    const { queue, client } = await sessionQueue(["a/1", "a/2"]);
    const session = await client.acceptSession(queue, "a");
    await session.abandonMessage(await receiveOne(session));
    const messages = await receiveExactly(session, 2);
    assert.deepEqual(messages.map(({ messageId, deliveryCount }) => `${messageId} ${deliveryCount}`),
        ["a/1 1", "a/2 0"]);
});

test("closing a session with messages unsettled counts no delivery", limit, async () => {
    const { queue, client } = await sessionQueue(["a/1"]);
    const session = await client.acceptSession(queue, "a");
    await receiveOne(session);
    await session.close();
    const again = await client.acceptSession(queue, "a");
    assert.equal((await receiveOne(again)).deliveryCount, 0);
});

test("dead-letter from a session: the dead-letter queue needs no session", limit, async () => {
    const { queue, client } = await sessionQueue(["a/1"]);
    const session = await client.acceptSession(queue, "a");
    await session.deadLetterMessage(await receiveOne(session), { deadLetterReason: "Bad" });
    const dead = await receiveOne(client.createReceiver(queue, { subQueueType: "deadLetter" }));
    assert.equal(dead.messageId, "a/1");
    assert.equal(dead.sessionId, "a");
    assert.equal(dead.deadLetterReason, "Bad");
});

test("defer in a session: taken again by the session's holder", limit, async () => {
    const { queue, client } = await sessionQueue(["a/1", "a/2"]);
    const session = await client.acceptSession(queue, "a");
    const message = await receiveOne(session);
    await session.deferMessage(message);
    assert.equal((await receiveOne(session)).messageId, "a/2");
    const [deferred] = await session.receiveDeferredMessages(message.sequenceNumber);
    assert.equal(deferred.messageId, "a/1");
    await session.completeMessage(deferred);
    assert.equal((await bench.emulator.queue(queue)).deferred, 0);
});

test("peek in a session shows that session only", limit, async () => {
    const { queue, client } = await sessionQueue(["a/1", "b/1", "a/2"]);
    const session = await client.acceptSession(queue, "a");
    assert.deepEqual(ids(await session.peekMessages(10)), ["a/1", "a/2"]);
});

test("subscribe to a session: in order, one after the other", limit, async () => {
    const paths = Array.from({ length: 20 }, (_, index) => `a/${index}`);
    const { queue, client } = await sessionQueue(paths);
    const session = await client.acceptSession(queue, "a");
    const handled = [];
    session.subscribe({
        processMessage: async ({ messageId }) => {
            handled.push(messageId);
        },
        processError: async ({ error }) => {
            handled.push(error.message);
        },
    });
    await eventually("all are completed", async () => {
        const { active, locked } = await bench.emulator.queue(queue);
        return active + locked === 0;
    });
    assert.deepEqual(handled, paths);
});

test("a session queue refuses a message without session, and a receiver without one", limit, async () => {
    const { queue, client } = await sessionQueue([]);
    await assert.rejects(client.createSender(queue).sendMessages({ messageId: "stray", body: "x" }),
        ({ name, code }) => name === "ServiceBusError" && code === "GeneralError");
    await assert.rejects(client.createReceiver(queue).receiveMessages(1, { maxWaitTimeInMs: 500 }),
        ({ name, message }) => name === "ServiceBusError" && /session/i.test(message));
    assert.equal((await bench.emulator.queue(queue)).active, 0);
});

test("a queue without sessions refuses to give one", limit, async () => {
    const queue = await bench.queue();
    const client = bench.client(undefined, { ...fastRetries, maxRetries: 0 });
    await assert.rejects(client.acceptSession(queue, "a"), ({ name }) => name === "ServiceBusError");
});
