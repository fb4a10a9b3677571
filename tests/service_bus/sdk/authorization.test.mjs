// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

import assert from "node:assert/strict";
import { test } from "node:test";

import {
    assertServiceBusError, entraToken, fastRetries, limit, receiveOne, useEmulator,
} from "./harness.mjs";

const bench = useEmulator();
const once = { ...fastRetries, maxRetries: 0 };
const twoHours = 7_200_000;

test("unknown entity: sending and receiving say that it is not there", limit, async () => {
    const client = bench.client();
    await assertServiceBusError(client.createSender("nowhere").sendMessages({ messageId: "m", body: "x" }),
        "MessagingEntityNotFound");
    await assertServiceBusError(client.createReceiver("nowhere").receiveMessages(1, { maxWaitTimeInMs: 500 }),
        "MessagingEntityNotFound");
});

test("deleted entity: is no longer there for those who used it", limit, async () => {
    const queue = await bench.queue();
    const client = bench.client();
    const sender = client.createSender(queue);
    await sender.sendMessages({ messageId: "m", body: "x" });
    await bench.emulator.deleteQueue(queue);
    await assertServiceBusError(sender.sendMessages({ messageId: "n", body: "x" }), "MessagingEntityNotFound");
});

test("bad key: unauthorised, for the right rule name", limit, async () => {
    const queue = await bench.queue();
    const sender = bench.client({ key: "not-the-key" }, once).createSender(queue);
    await assertServiceBusError(sender.sendMessages({ messageId: "m", body: "x" }), "UnauthorizedAccess");
    assert.equal((await bench.emulator.queue(queue)).active, 0);
});

test("unknown rule: unauthorised", limit, async () => {
    const queue = await bench.queue();
    const sender = bench.client({ keyName: "nobody", key: bench.emulator.key }, once).createSender(queue);
    await assertServiceBusError(sender.sendMessages({ messageId: "m", body: "x" }), "UnauthorizedAccess");
});

test("rights: who may only send cannot receive, peek or schedule around it", limit, async () => {
    const queue = await bench.queue();
    await bench.emulator.putRule("sender", "key-of-sender", ["Send"]);
    const client = bench.client({ keyName: "sender", key: "key-of-sender" }, once);
    await client.createSender(queue).sendMessages({ messageId: "m", body: "x" });
    assert.equal((await bench.emulator.queue(queue)).active, 1);
    const receiver = client.createReceiver(queue);
    await assertServiceBusError(receiver.receiveMessages(1, { maxWaitTimeInMs: 500 }), "UnauthorizedAccess");
    await assertServiceBusError(receiver.peekMessages(1), "UnauthorizedAccess");
});

test("rights: who may only listen cannot send", limit, async () => {
    const queue = await bench.queue();
    await bench.emulator.putRule("listener", "key-of-listener", ["Listen"]);
    await bench.client().createSender(queue).sendMessages({ messageId: "m", body: "x" });
    const client = bench.client({ keyName: "listener", key: "key-of-listener" }, once);
    const receiver = client.createReceiver(queue);
    await receiver.completeMessage(await receiveOne(receiver));
    await assertServiceBusError(client.createSender(queue).sendMessages({ messageId: "n", body: "x" }),
        "UnauthorizedAccess");
});

const withTls = { ...limit, skip: bench.transport === "tls" ? false : "the SDK shows such tokens over TLS only" };

/** Gives the identity those rights, and returns what the SDK calls for its token. */
async function identity(id, rights, claims = {}, key = undefined) {
    await bench.emulator.control("PUT", `/identities/${id}`, { rights });
    const expiresOnTimestamp = (await bench.emulator.now()) + 3_600_000;
    const token = entraToken({ oid: id, exp: Math.floor(expiresOnTimestamp / 1000), ...claims }, key);
    return async () => ({ token, expiresOnTimestamp });
}

test("an identity of Microsoft Entra ID may do what its roles allow", withTls, async () => {
    const queue = await bench.queue();
    const both = bench.clientWithIdentity(await identity("both", ["Send", "Listen"]));
    await both.createSender(queue).sendMessages({ messageId: "m", body: "x" });
    const receiver = both.createReceiver(queue);
    await receiver.completeMessage(await receiveOne(receiver));
    assert.ok((await bench.emulator.stats()).entraTokensPut > 0);
    const listener = bench.clientWithIdentity(await identity("listener", ["Listen"]), once);
    await assertServiceBusError(listener.createSender(queue).sendMessages({ messageId: "n", body: "x" }),
        "UnauthorizedAccess");
});

test("an identity's token is refused if it is for another service, has ended, or is signed by another", withTls, async () => {
    const queue = await bench.queue();
    const rights = ["Send"];
    for (const getToken of [await identity("a", rights, { aud: "https://storage.azure.com" }),
        await identity("b", rights, { exp: 1 }), await identity("c", rights, {}, "another-key")]) {
        const sender = bench.clientWithIdentity(getToken, once).createSender(queue);
        await assertServiceBusError(sender.sendMessages({ messageId: "m", body: "x" }), "UnauthorizedAccess");
    }
});

test("a token that expires takes the links with it; the SDK brings a new one and continues", limit, async () => {
    const queue = await bench.queue();
    const client = bench.client();
    const sender = client.createSender(queue);
    const receiver = client.createReceiver(queue);
    await sender.sendMessages({ messageId: "before", body: "x" });
    await receiver.completeMessage(await receiveOne(receiver));
    const { tokensPut } = await bench.emulator.stats();
    await bench.emulator.fault("expire");
    await sender.sendMessages({ messageId: "after", body: "x" });
    const message = await receiveOne(receiver);
    assert.equal(message.messageId, "after");
    await receiver.completeMessage(message);
    assert.ok((await bench.emulator.stats()).tokensPut > tokensPut, "no new token was put");
});

test("a rotated key: the old one is refused from then on, the new one taken", limit, async () => {
    const queue = await bench.queue();
    await bench.emulator.putRule("rotating", "old-key", ["Send"]);
    await bench.client({ keyName: "rotating", key: "old-key" }, once).createSender(queue)
        .sendMessages({ messageId: "1", body: "x" });
    await bench.emulator.putRule("rotating", "new-key", ["Send"]);
    await assertServiceBusError(bench.client({ keyName: "rotating", key: "old-key" }, once).createSender(queue)
        .sendMessages({ messageId: "2", body: "x" }), "UnauthorizedAccess");
    await bench.client({ keyName: "rotating", key: "new-key" }, once).createSender(queue)
        .sendMessages({ messageId: "3", body: "x" });
    assert.equal((await bench.emulator.queue(queue)).active, 2);
});

// The last of the file: it moves the emulator's clock beyond every token that the SDK makes.
test("a token older than its expiry is refused from the start", limit, async () => {
    const queue = await bench.queue();
    await bench.emulator.advance(twoHours);
    const sender = bench.client(undefined, once).createSender(queue);
    await assertServiceBusError(sender.sendMessages({ messageId: "m", body: "x" }), "UnauthorizedAccess");
});
