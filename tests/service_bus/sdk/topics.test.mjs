// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

import assert from "node:assert/strict";
import { test } from "node:test";

import { assertNothing, limit, receiveOne, useEmulator } from "./harness.mjs";

const bench = useEmulator();

async function topicWith(subscriptions) {
    const topic = bench.newName("topic");
    await bench.emulator.createTopic(topic);
    for (const [name, settings] of Object.entries(subscriptions)) {
        await bench.emulator.createSubscription(topic, name, settings);
    }
    return { topic, client: bench.client() };
}

test("topic: each subscription has its own copy, settled on its own", limit, async () => {
    const { topic, client } = await topicWith({ mail: {}, audit: {} });
    await client.createSender(topic).sendMessages({ messageId: "news", body: "x", applicationProperties: { n: 1 } });
    const mail = client.createReceiver(topic, "mail");
    const audit = client.createReceiver(topic, "audit");
    const first = await receiveOne(mail);
    assert.equal(first.messageId, "news");
    assert.deepEqual(first.applicationProperties, { n: 1 });
    await mail.completeMessage(first);
    await assertNothing(mail);
    const copy = await receiveOne(audit);
    assert.equal(copy.messageId, "news");
    await audit.deadLetterMessage(copy, { deadLetterReason: "NotMine" });
    const dead = await receiveOne(client.createReceiver(topic, "audit", { subQueueType: "deadLetter" }));
    assert.equal(dead.deadLetterReason, "NotMine");
});

test("topic: a subscription with sessions keeps them", limit, async () => {
    const { topic, client } = await topicWith({ plain: {}, ordered: { requiresSession: true } });
    await client.createSender(topic).sendMessages([
        { messageId: "1", sessionId: "s", body: "x" }, { messageId: "2", sessionId: "s", body: "y" },
    ]);
    const session = await client.acceptNextSession(topic, "ordered");
    assert.equal(session.sessionId, "s");
    assert.equal((await receiveOne(session)).messageId, "1");
    assert.equal((await receiveOne(client.createReceiver(topic, "plain"))).messageId, "1");
});

test("topic: a subscription gets nothing that was sent before it was made", limit, async () => {
    const { topic, client } = await topicWith({ early: {} });
    await client.createSender(topic).sendMessages({ messageId: "news", body: "x" });
    await bench.emulator.createSubscription(topic, "late", {});
    await assertNothing(client.createReceiver(topic, "late"));
    assert.equal((await receiveOne(client.createReceiver(topic, "early"))).messageId, "news");
});

test("topic: a scheduled message reaches the subscriptions at its time, unless it is cancelled", limit, async () => {
    const { topic, client } = await topicWith({ mail: {} });
    const due = new Date((await bench.emulator.now()) + 60_000);
    const sender = client.createSender(topic);
    const [, second] = await sender.scheduleMessages(["a", "b"].map((messageId) => ({ messageId, body: "x" })), due);
    await sender.cancelScheduledMessages(second);
    const mail = client.createReceiver(topic, "mail");
    await assertNothing(mail);
    await bench.emulator.advance(61_000);
    assert.equal((await receiveOne(mail)).messageId, "a");
    await assertNothing(mail);
});
