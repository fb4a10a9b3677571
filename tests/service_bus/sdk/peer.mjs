// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

// Sends to or receives from a queue or topic with Microsoft's own SDK, for tests of the other end of the wire:
//
//   node peer.mjs send    --connection-string <text> --queue <name> --count <n>
//                         [--prefix <text>] [--sessions <k>] [--body <text>] [--batch] [--properties] [--trace <traceparent>]
//   node peer.mjs receive --connection-string <text> --queue <name> [--subscription <name>] --count <n>
//                         [--sessions] [--dead-letter] [--hold] [--timeout <ms>] [--trace <traceparent>]
//   node peer.mjs rules   --connection-string <of the REST API> --queue <topic> --subscription <name> --count <n>
//
// send: message i has the id <prefix>-i and the JSON body {"number":i}, or the body given; with sessions, it goes to
// session-(i mod k); --batch sends as few batches as possible; --properties sets every property a message can carry.
// receive: completes each message; --hold leaves them locked and stays until it is killed; without a message for
// --timeout (default 10 000 ms) it gives up. --sessions takes one session after the other. --subscription receives from one of the
// topic --queue.
// --trace: the SDK is traced, as by OpenTelemetry, and takes that for the trace it is in; `traceparent` of a message received is what
// the SDK has found in it.
// rules: tells the rules of a subscription.
// Each prints one line of JSON for each message, as soon as it is sent or received, or rule.
// Ends with 0 if all <n> were sent or received (and completed), 1 if not, 2 if the command line is wrong.

import { parseArgs } from "node:util";

import { useInstrumenter } from "@azure/core-tracing";
import { ServiceBusAdministrationClient, ServiceBusClient } from "@azure/service-bus";

/** A wrong command line. */
class UsageError extends Error {}

function readCommandLine() {
    const text = { type: "string" };
    const flag = { type: "boolean", default: false };
    const command = process.argv[2];
    const common = { "connection-string": text, queue: text, count: text };
    const specific = {
        send: { prefix: { ...text, default: "peer" }, sessions: text, body: text, batch: flag, properties: flag,
            trace: text },
        receive: { subscription: text, sessions: flag, "dead-letter": flag, hold: flag,
            timeout: { ...text, default: "10000" }, trace: text },
        rules: { subscription: text },
    }[command];
    if (!specific) {
        throw new UsageError("the first argument is send, receive or rules");
    }
    let values;
    try {
        ({ values } = parseArgs({ args: process.argv.slice(3), options: { ...common, ...specific } }));
    } catch (error) {
        throw new UsageError(error.message);
    }
    for (const name of Object.keys(common)) {
        if (values[name] === undefined) {
            throw new UsageError(`--${name} is missing`);
        }
    }
    for (const name of ["count", "sessions", "timeout"]) {
        if (typeof values[name] === "string") {
            values[name] = positive(name, values[name]);
        }
    }
    return { command, options: values };
}

function positive(name, text) {
    if (!/^[1-9]\d{0,8}$/.test(text)) {
        throw new UsageError(`--${name} is no positive number: ${text}`);
    }
    return Number(text);
}

function print(line) {
    process.stdout.write(`${JSON.stringify(line)}\n`);
}

function makeMessage(number, { prefix, sessions, body, properties }) {
    const message = { messageId: `${prefix}-${number}`, body: Buffer.from(body ?? JSON.stringify({ number })) };
    if (sessions) {
        message.sessionId = `session-${number % sessions}`;
    }
    if (properties) {
        Object.assign(message, {
            contentType: "application/json", subject: "Subject", correlationId: `correlation-${number}`,
            to: "destination", replyTo: "answers", replyToSessionId: "answer-session", timeToLive: 3_600_000,
            applicationProperties: { text: "gr\u00fc\u00df", integer: number, real: 0.5, truth: true },
        });
    }
    return message;
}

async function send(client, options) {
    const sender = client.createSender(options.queue);
    const messages = Array.from({ length: options.count }, (_, number) => makeMessage(number, options));
    const report = ({ messageId, sessionId }) => print({ messageId, sessionId });
    if (!options.batch) {
        for (const message of messages) {
            await sender.sendMessages(message);
            report(message);
        }
        return true;
    }
    for (let first = 0; first < messages.length;) {
        const batch = await sender.createMessageBatch();
        let next = first;
        while (next < messages.length && batch.tryAddMessage(messages[next])) {
            next += 1;
        }
        if (next === first) {
            throw new Error(`message ${first} does not fit into a batch`);
        }
        await sender.sendMessages(batch);
        messages.slice(first, next).forEach(report);
        first = next;
    }
    return true;
}

/** What the SDK has found of traces in what it received. */
const tracesFound = [];

/** Has the SDK take part in a trace: every span is `traceparent`. */
function useTrace(traceparent) {
    const context = { getValue: () => undefined, setValue: () => context, deleteValue: () => context };
    const nothing = () => {};
    const span = { isRecording: () => true, end: nothing, setStatus: nothing, setAttribute: nothing, addEvent: nothing,
        recordException: nothing };
    useInstrumenter({
        startSpan: () => ({ span, tracingContext: context }),
        withContext: (_, callback, ...values) => callback(...values),
        createRequestHeaders: () => ({ traceparent }),
        parseTraceparentHeader: (header) => {
            tracesFound.push(header);
            return context;
        },
    });
}

/** What a received message looks like from outside; a body that is no text comes as the SDK decoded it. */
function describe(message) {
    const { messageId, sessionId, body, applicationProperties, deliveryCount, contentType, subject, correlationId } =
        message;
    return {
        messageId, sessionId, body: Buffer.isBuffer(body) ? body.toString("utf8") : body,
        applicationProperties, deliveryCount, contentType, subject, correlationId,
        to: message.to, replyTo: message.replyTo, replyToSessionId: message.replyToSessionId,
        timeToLive: message.timeToLive, partitionKey: message.partitionKey,
        sequenceNumber: message.sequenceNumber?.toString(),
        enqueuedTime: message.enqueuedTimeUtc?.toISOString(), lockedUntil: message.lockedUntilUtc?.toISOString(),
        traceparent: tracesFound.splice(0).at(-1),
        deadLetterReason: message.deadLetterReason, deadLetterErrorDescription: message.deadLetterErrorDescription,
    };
}

/** Takes up to that many messages; fewer if none came for the time-out. */
async function takeFrom(receiver, count, { hold, timeout }) {
    let taken = 0;
    while (taken < count) {
        const messages = await receiver.receiveMessages(count - taken, { maxWaitTimeInMs: timeout });
        if (messages.length === 0) {
            break;
        }
        for (const message of messages) {
            if (!hold && !await complete(receiver, message)) {
                return taken;
            }
            print(describe(message));
            taken += 1;
        }
    }
    return taken;
}

/**
 * @returns {boolean} false if the session was lost: the SDK itself gives up a link on which no drain is answered within
 *     200 ms, as happens on a machine that has much to do
 */
async function complete(receiver, message) {
    try {
        await receiver.completeMessage(message);
        return true;
    } catch (error) {
        if (error.code === "SessionLockLost") {
            return false;
        }
        throw error;
    }
}

async function takeFromSessions(client, options) {
    const perSession = { ...options, timeout: Math.min(options.timeout, 500) };
    let taken = 0;
    while (taken < options.count) {
        const session = await nextSession(client, options.queue);
        if (!session) {
            break;
        }
        taken += await takeFrom(session, options.count - taken, perSession);
        if (!options.hold) {
            await session.close();
        }
    }
    return taken;
}

async function nextSession(client, queue) {
    try {
        return await client.acceptNextSession(queue, { skipParsingBodyAsJson: true });
    } catch (error) {
        if (error.code === "ServiceTimeout") {
            return undefined;
        }
        throw error;
    }
}

function createReceiver(client, { queue, subscription }, options) {
    return subscription ? client.createReceiver(queue, subscription, options) : client.createReceiver(queue, options);
}

async function receive(client, options) {
    const receiverOptions = {
        skipParsingBodyAsJson: true, subQueueType: options["dead-letter"] ? "deadLetter" : undefined,
    };
    const taken = options.sessions && !options["dead-letter"]
        ? await takeFromSessions(client, options)
        : await takeFrom(createReceiver(client, options, receiverOptions), options.count, options);
    if (options.hold && taken === options.count) {
        await new Promise(() => setInterval(() => {}, 60_000));
    }
    if (taken < options.count) {
        process.stderr.write(`only ${taken} of ${options.count} messages came\n`);
    }
    return taken === options.count;
}

async function tellRules(options) {
    const administration = new ServiceBusAdministrationClient(options["connection-string"]);
    let told = 0;
    for await (const { name, filter } of administration.listRules(options.queue, options.subscription)) {
        print({ name, filter });
        told += 1;
    }
    return told === options.count;
}

async function main() {
    const { command, options } = readCommandLine();
    if (command === "rules") {
        return await tellRules(options) ? 0 : 1;
    }
    if (options.trace) {
        useTrace(options.trace);
    }
    const retryOptions = { maxRetries: 5, retryDelayInMs: 100, timeoutInMs: options.timeout ?? 10_000 };
    const client = new ServiceBusClient(options["connection-string"], { retryOptions });
    try {
        return await (command === "send" ? send : receive)(client, options) ? 0 : 1;
    } finally {
        await client.close();
    }
}

try {
    process.exitCode = await main();
} catch (error) {
    process.stderr.write(`${error instanceof UsageError ? error.message : error.stack}\n`);
    process.exitCode = error instanceof UsageError ? 2 : 1;
}
