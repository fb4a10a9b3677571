// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

import assert from "node:assert/strict";
import { test } from "node:test";

import { ServiceBusAdministrationClient } from "@azure/service-bus";

import { entraToken, limit, receiveOne, useEmulator } from "./harness.mjs";

const bench = useEmulator();

// The SDK speaks HTTPS to the REST API, whatever the transport of messages: run.mjs makes the certificate.
const withTls = { ...limit, skip: process.env.ESCQRS_SDK_CERTIFICATE ? false : "needs the certificate of run.mjs" };

function administration(rule) {
    return new ServiceBusAdministrationClient(bench.emulator.restConnectionString(rule),
        { retryOptions: { maxRetries: 0 } });
}

function refusedWith(code, statusCode) {
    return (error) => {
        assert.equal(error.code, code, error.message);
        assert.equal(error.statusCode, statusCode);
        return true;
    };
}

test("administration: creates a queue with its settings, and tells them", withTls, async () => {
    const admin = administration();
    const name = bench.newName("made");
    assert.equal(await admin.queueExists(name), false);
    const created = await admin.createQueue(name, {
        lockDuration: "PT45S", maxDeliveryCount: 3, requiresSession: true, requiresDuplicateDetection: true,
        duplicateDetectionHistoryTimeWindow: "PT5M", defaultMessageTimeToLive: "P1D", userMetadata: "for <tests>",
    });
    assert.equal(created.name, name);
    assert.equal(await admin.queueExists(name), true);
    const { lockDuration, maxDeliveryCount, requiresSession, requiresDuplicateDetection,
        duplicateDetectionHistoryTimeWindow, defaultMessageTimeToLive, userMetadata } = await admin.getQueue(name);
    assert.deepEqual({ lockDuration, maxDeliveryCount, requiresSession, requiresDuplicateDetection,
        duplicateDetectionHistoryTimeWindow, defaultMessageTimeToLive, userMetadata }, {
        lockDuration: "PT45S", maxDeliveryCount: 3, requiresSession: true, requiresDuplicateDetection: true,
        duplicateDetectionHistoryTimeWindow: "PT5M", defaultMessageTimeToLive: "P1D", userMetadata: "for <tests>",
    });
    await assert.rejects(admin.createQueue(name), refusedWith("MessageEntityAlreadyExistsError", 409));
});

test("administration: the settings are those the queue works by", withTls, async () => {
    const name = bench.newName("made");
    await administration().createQueue(name, { maxDeliveryCount: 1, requiresDuplicateDetection: true });
    const client = bench.client();
    const sender = client.createSender(name);
    await sender.sendMessages({ messageId: "m", body: "x" });
    await sender.sendMessages({ messageId: "m", body: "x" });
    const receiver = client.createReceiver(name);
    await receiver.abandonMessage(await receiveOne(receiver));
    const { active, deadLettered } = await bench.emulator.queue(name);
    assert.deepEqual({ active, deadLettered }, { active: 0, deadLettered: 1 });
});

test("administration: counts of a queue made by the control port", withTls, async () => {
    const name = await bench.queue();
    const client = bench.client();
    const sender = client.createSender(name);
    await sender.sendMessages(["a", "b", "c"].map((messageId) => ({ messageId, body: "x" })));
    await sender.scheduleMessages({ messageId: "d", body: "x" }, new Date((await bench.emulator.now()) + 60_000));
    const receiver = client.createReceiver(name);
    await receiver.deadLetterMessage(await receiveOne(receiver));
    const counts = await administration().getQueueRuntimeProperties(name);
    assert.equal(counts.activeMessageCount, 2);
    assert.equal(counts.deadLetterMessageCount, 1);
    assert.equal(counts.scheduledMessageCount, 1);
    assert.equal(counts.totalMessageCount, 4);
});

test("administration: updates what may be updated, and refuses the rest", withTls, async () => {
    const admin = administration();
    const name = bench.newName("made");
    const queue = await admin.createQueue(name, { lockDuration: "PT1M" });
    await admin.updateQueue({ ...queue, lockDuration: "PT2M" });
    assert.equal((await admin.getQueue(name)).lockDuration, "PT2M");
    await assert.rejects(admin.updateQueue({ ...queue, requiresSession: true }), refusedWith("ServiceError", 400));
    await assert.rejects(admin.updateQueue({ ...queue, name: "nowhere" }),
        refusedWith("MessageEntityNotFoundError", 404));
    await assert.rejects(admin.createQueue(bench.newName("made"), { lockDuration: "PT10M" }),
        refusedWith("ServiceError", 400));
});

test("administration: lists queues, page by page", withTls, async () => {
    const admin = administration();
    const names = [];
    for (let count = 0; count < 3; ++count) {
        names.push(bench.newName("listed"));
        await admin.createQueue(names[count]);
    }
    const seen = [];
    for await (const { name } of admin.listQueues()) {
        seen.push(name);
    }
    assert.deepEqual(seen.filter((name) => name.startsWith("listed")).sort(), [...names].sort());
    const { value: first } = await admin.listQueues().byPage({ maxPageSize: 2 }).next();
    assert.equal(first.length, 2);
});

test("administration: deletes a queue once", withTls, async () => {
    const admin = administration();
    const name = bench.newName("made");
    await admin.createQueue(name);
    await admin.deleteQueue(name);
    assert.equal(await admin.queueExists(name), false);
    await assert.rejects(admin.getQueue(name), ({ code }) => code === "MessageEntityNotFoundError");
    await assert.rejects(admin.deleteQueue(name), refusedWith("MessageEntityNotFoundError", 404));
});

test("administration: needs the right key and the Manage right", withTls, async () => {
    const name = await bench.queue();
    await bench.emulator.putRule("worker", "key-of-worker", ["Send", "Listen"]);
    for (const rule of [{ key: "not-the-key" }, { keyName: "worker", key: "key-of-worker" }]) {
        const admin = administration(rule);
        await assert.rejects(admin.getQueue(name), refusedWith("UnauthorizedRequestError", 401));
        await assert.rejects(admin.createQueue("never"), refusedWith("UnauthorizedRequestError", 401));
        await assert.rejects(admin.deleteQueue(name), refusedWith("UnauthorizedRequestError", 401));
    }
    assert.equal(await administration().queueExists(name), true);
});

test("administration: takes the token of an identity that may manage", withTls, async () => {
    const name = bench.newName("made");
    const expiresOnTimestamp = (await bench.emulator.now()) + 3_600_000;
    const token = entraToken({ oid: "owner", exp: Math.floor(expiresOnTimestamp / 1000) });
    const admin = new ServiceBusAdministrationClient(`${bench.emulator.host}:${bench.emulator.ports.rest}`,
        { getToken: async () => ({ token, expiresOnTimestamp }) }, { retryOptions: { maxRetries: 0 } });
    await assert.rejects(admin.createQueue(name), (error) => error.statusCode === 401);
    await bench.emulator.control("PUT", "/identities/owner", { rights: ["Manage"] });
    assert.equal((await admin.createQueue(name)).name, name);
});

test("administration: a topic, its subscriptions and their rules", withTls, async () => {
    const admin = administration();
    const topic = bench.newName("topic");
    assert.equal((await admin.createTopic(topic, { requiresDuplicateDetection: true })).requiresDuplicateDetection, true);
    await assert.rejects(admin.createTopic(topic), refusedWith("MessageEntityAlreadyExistsError", 409));
    assert.equal(await admin.topicExists(topic), true);
    await admin.createSubscription(topic, "all");
    await admin.createSubscription(topic, "red", { requiresSession: true, maxDeliveryCount: 3,
        defaultRuleOptions: { name: "by-colour", filter: { sqlExpression: "colour = 'red' AND size > 3" } } });
    await admin.createSubscription(topic, "orders", {
        defaultRuleOptions: { name: "orders", filter: { subject: "order", applicationProperties: { colour: "blue" } } } });
    await admin.createRule(topic, "orders", "urgent", { subject: "urgent" });
    const { requiresSession, maxDeliveryCount } = await admin.getSubscription(topic, "red");
    assert.deepEqual({ requiresSession, maxDeliveryCount }, { requiresSession: true, maxDeliveryCount: 3 });
    assert.equal((await admin.getRule(topic, "red", "by-colour")).filter.sqlExpression, "colour = 'red' AND size > 3");
    const shown = await admin.getRule(topic, "orders", "orders");
    assert.equal(shown.filter.subject, "order");
    assert.deepEqual(shown.filter.applicationProperties, { colour: "blue" });
    await assert.rejects(admin.createRule(topic, "orders", "bad", { sqlExpression: "colour =" }),
        (error) => error.statusCode === 400);

    await bench.client().createSender(topic).sendMessages([
        { messageId: "1", sessionId: "s", body: "x", applicationProperties: { colour: "red", size: 4 } },
        { messageId: "2", sessionId: "s", body: "x", applicationProperties: { colour: "red", size: 3 } },
        { messageId: "3", sessionId: "s", body: "x", subject: "order", applicationProperties: { colour: "blue" } },
        { messageId: "4", sessionId: "s", body: "x", subject: "urgent" },
        { messageId: "4", sessionId: "s", body: "x", subject: "urgent" },
    ]);
    const active = async (name) => (await admin.getSubscriptionRuntimeProperties(topic, name)).activeMessageCount;
    assert.deepEqual([await active("all"), await active("red"), await active("orders")], [4, 1, 2]);
    const rules = [];
    for await (const { name } of admin.listRules(topic, "orders")) {
        rules.push(name);
    }
    assert.deepEqual(rules, ["orders", "urgent"]);
    await admin.deleteRule(topic, "orders", "urgent");
    await admin.deleteSubscription(topic, "orders");
    assert.equal(await admin.subscriptionExists(topic, "orders"), false);
    await admin.deleteTopic(topic);
    assert.equal(await admin.topicExists(topic), false);
});
