// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { after, afterEach, before } from "node:test";

import { ServiceBusClient } from "@azure/service-bus";

import { startEmulator } from "../support/emulator.mjs";

/** Retries come soon, and a lost answer is noticed within seconds, so that no scenario waits for long. */
export const fastRetries = { maxRetries: 5, retryDelayInMs: 50, maxRetryDelayInMs: 200, timeoutInMs: 2_000 };

/** How long a receiver waits for a message that should be there. */
export const patience = { maxWaitTimeInMs: 5_000 };

/** How long a receiver waits for a message that should not be there. */
export const glance = { maxWaitTimeInMs: 300 };

/** Limit of a single scenario. */
export const limit = { timeout: 20_000 };

/**
 * Starts an emulator for the scenarios of a file and stops it after them.
 *
 * The transport is TLS if ESCQRS_SDK_TRANSPORT is `tls`, with the certificate that run.mjs made; TCP otherwise.
 * @returns {Bench}
 */
export function useEmulator() {
    const bench = new Bench();
    before(() => bench.start());
    afterEach(() => bench.closeClients());
    after(() => bench.stop());
    return bench;
}

/** What a scenario works with: the emulator, fresh entities, and clients that are closed after it. */
export class Bench {
    emulator = undefined;
    #clients = [];
    #names = 0;

    get transport() {
        return process.env.ESCQRS_SDK_TRANSPORT ?? "tcp";
    }

    async start() {
        this.emulator = await startEmulator({
            certificate: process.env.ESCQRS_SDK_CERTIFICATE,
            privateKey: process.env.ESCQRS_SDK_PRIVATE_KEY,
            host: this.transport === "tls" ? "localhost" : "127.0.0.1",
        });
    }

    async stop() {
        const { child, complaints } = this.emulator;
        const ended = child.exitCode ?? child.signalCode;
        await this.emulator.stop();
        assert.equal(ended, null, `the emulator ended by itself: ${complaints.join("")}`);
    }

    /** Connection string of the transport under test. */
    connectionString(rule) {
        return this.transport === "tls" ? this.emulator.tlsConnectionString(rule) : this.emulator.connectionString(rule);
    }

    /** A client whose token outlives whatever the clock is moved on by; the SDK's own last an hour of the real time. */
    async lastingClient() {
        const { emulator } = this;
        const end = Math.floor((await emulator.now()) / 1000) + 10 * 365 * 86_400;
        const signature = sharedAccessSignature({ ...emulator, resource: `sb://${emulator.host}/`, end });
        const [endpoint, ...rest] = this.connectionString().split(";");
        const others = rest.filter((part) => !part.startsWith("SharedAccessKey"));
        return this.clientOf([endpoint, `SharedAccessSignature=${signature}`, ...others].join(";"));
    }

    /** A client of its own connection. */
    client(rule, retryOptions = fastRetries) {
        return this.clientOf(this.connectionString(rule), retryOptions);
    }

    /** A client with tokens of Microsoft Entra ID; over TLS only, since the SDK would not show them otherwise. */
    clientWithIdentity(getToken, retryOptions = fastRetries) {
        const address = `${this.emulator.host}:${this.emulator.ports.amqps}`;
        const client = new ServiceBusClient(address, { getToken }, { retryOptions });
        this.#clients.push(client);
        return client;
    }

    clientOf(connectionString, retryOptions = fastRetries) {
        const client = new ServiceBusClient(connectionString, { retryOptions });
        this.#clients.push(client);
        return client;
    }

    /** Creates a queue under a new name, and returns the name. */
    async queue(settings) {
        const name = this.newName("queue");
        await this.emulator.createQueue(name, settings);
        return name;
    }

    newName(stem) {
        this.#names += 1;
        return `${stem}-${this.#names}`;
    }

    async closeClients() {
        await Promise.all(this.#clients.splice(0).map((client) => client.close()));
    }
}

/** A token of Microsoft Entra ID, as the emulator takes it. */
export function entraToken(claims, key = "entra-key") {
    const encoded = [{ alg: "HS256", typ: "JWT" }, { aud: "https://servicebus.azure.net", ...claims }]
        .map((part) => Buffer.from(JSON.stringify(part)).toString("base64url")).join(".");
    return `${encoded}.${createHmac("sha256", key).update(encoded).digest("base64url")}`;
}

function sharedAccessSignature({ keyName, key, resource, end }) {
    const signed = encodeURIComponent(resource);
    const signature = createHmac("sha256", key).update(`${signed}\n${end}`).digest("base64");
    return `SharedAccessSignature sr=${signed}&sig=${encodeURIComponent(signature)}&se=${end}&skn=${keyName}`;
}

/** Receives exactly that many messages, in as many rounds as it takes. */
export async function receiveExactly(receiver, count) {
    const messages = [];
    while (messages.length < count) {
        const more = await receiver.receiveMessages(count - messages.length, patience);
        assert.notEqual(more.length, 0, `only ${messages.length} of ${count} messages came`);
        messages.push(...more);
    }
    return messages;
}

/** Receives one message. */
export async function receiveOne(receiver) {
    return (await receiveExactly(receiver, 1))[0];
}

/** Asserts that nothing can be received now. */
export async function assertNothing(receiver) {
    const messages = await receiver.receiveMessages(1, glance);
    assert.deepEqual(messages.map(({ messageId }) => messageId), [], "a message came that should not");
}

/** Asserts that the promise fails with the SDK's ServiceBusError of that code, perhaps after several attempts. */
export async function assertServiceBusError(promise, code) {
    await assert.rejects(promise, (thrown) => {
        const error = thrown instanceof AggregateError ? thrown.errors.at(-1) : thrown;
        assert.equal(error.name, "ServiceBusError", `not a ServiceBusError: ${error.stack}`);
        assert.equal(error.code, code, error.message);
        return true;
    });
}

/** Waits until the condition holds; it may be asynchronous. */
export async function eventually(what, condition, limitMs = 5_000) {
    const end = Date.now() + limitMs;
    while (!(await condition())) {
        assert.ok(Date.now() < end, `${what}: not within ${limitMs} ms`);
        await new Promise((resolve) => setTimeout(resolve, 10));
    }
}
