// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

// What an entity's $management node does.
// See https://learn.microsoft.com/azure/service-bus-messaging/service-bus-amqp-request-response

import rhea from "rhea";

import { changeProperties, encodeEntry, readEncoded, tokenOf } from "./message_codec.mjs";
import { BrokerError } from "./queue.mjs";

const { types } = rhea;

const timestamps = (times) => types.wrap_array(times.map((time) => new Date(time)), 0x83, undefined);
const longs = (numbers) => types.wrap_array(numbers, 0x81, undefined);

function list(value) {
    return value === undefined ? [] : Array.isArray(value) ? value : [value];
}

function token(bytes) {
    return Buffer.isBuffer(bytes) ? tokenOf(bytes) : String(bytes);
}

const operations = {
    "com.microsoft:renew-lock"(queue, body) {
        const ends = list(body["lock-tokens"]).map((each) => queue.renewMessage(token(each)));
        return { expirations: timestamps(ends) };
    },
    "com.microsoft:renew-session-lock"(queue, body) {
        return { expiration: types.wrap_timestamp(queue.renewSession(body["session-id"])) };
    },
    "com.microsoft:get-session-state"(queue, body) {
        return { "session-state": queue.sessionState(body["session-id"]) };
    },
    "com.microsoft:set-session-state"(queue, body) {
        queue.setSessionState(body["session-id"], body["session-state"] ?? null);
        return {};
    },
    "com.microsoft:peek-message"(queue, body) {
        const from = Number(body["from-sequence-number"]);
        const count = Number(body["message-count"]);
        const messages = [];
        for (const entry of queue.entries()) {
            if (messages.length >= count) {
                break;
            }
            if (entry.sequenceNumber >= from && (!body["session-id"] || entry.sessionId === body["session-id"])) {
                messages.push({ message: types.wrap_binary(encodeEntry(entry)) });
            }
        }
        return messages.length > 0 ? { messages } : undefined;
    },
    "com.microsoft:schedule-message"(queue, body) {
        const entries = list(body.messages).map((each) => queue.enqueue(readEncoded(each.message)));
        return { "sequence-numbers": longs(entries.map((entry) => entry?.sequenceNumber ?? 0)) };
    },
    "com.microsoft:cancel-scheduled-message"(queue, body) {
        for (const number of list(body["sequence-numbers"])) {
            if (!queue.cancelScheduled(Number(number))) {
                throw new BrokerError("com.microsoft:message-not-found", `There is no scheduled message ${number}.`);
            }
        }
        return {};
    },
    "com.microsoft:receive-by-sequence-number"(queue, body) {
        const found = queue.receiveDeferred(list(body["sequence-numbers"]).map(Number), body["session-id"]);
        return { messages: found.map(([entry, lock]) => ({
            "lock-token": types.wrap_uuid(Buffer.from(lock.replaceAll("-", ""), "hex")),
            message: types.wrap_binary(encodeEntry(entry, { lockedUntil: entry.lock.lockedUntil })),
        })) };
    },
    "com.microsoft:update-disposition"(queue, body) {
        const change = (entry) => changeProperties(entry, body["properties-to-modify"]);
        for (const each of list(body["lock-tokens"]).map(token)) {
            switch (body["disposition-status"]) {
                case "completed": queue.complete(each); break;
                case "abandoned": queue.abandon(each, change); break;
                case "defered": case "deferred": queue.defer(each, change); break; // the protocol spells it with one r
                case "suspended":
                    queue.deadLetter(each, body["deadletter-reason"], body["deadletter-description"], change);
                    break;
                default: throw new BrokerError("amqp:not-allowed", `No such disposition: ${body["disposition-status"]}`);
            }
        }
        return {};
    },
};

const statuses = { "amqp:unauthorized-access": 401, "com.microsoft:message-lock-lost": 410, "com.microsoft:session-lock-lost": 410,
    "com.microsoft:message-not-found": 404, "com.microsoft:server-busy": 503 };

/** Operations of senders; the others are those of receivers. */
const ofSenders = new Set(["com.microsoft:schedule-message", "com.microsoft:cancel-scheduled-message"]);

/**
 * Answers a request to the management node of a queue, topic or subscription. Only what messages are sent to schedules them; only
 * what they are received from does the rest.
 *
 * @param problem  what is wrong with using a right; undefined if nothing is
 * @returns the answer's message
 */
export function manage(queue, request, { stats, faults }, problem) {
    const answer = { correlation_id: request.message_id, application_properties: {} };
    const name = request.application_properties?.operation;
    try {
        const operation = operations[name];
        if (!operation) {
            throw new BrokerError("amqp:not-implemented", `No such operation: ${name}`);
        }
        const refusal = problem(ofSenders.has(name) ? "Send" : "Listen");
        if (refusal) {
            throw new BrokerError("amqp:unauthorized-access", refusal);
        }
        if (ofSenders.has(name) ? queue.rules : queue.subscriptions) {
            throw new BrokerError("amqp:not-allowed", `A ${queue.rules ? "subscription" : "topic"} cannot do '${name}'.`);
        }
        if (faults.takeBusy()) {
            throw new BrokerError("com.microsoft:server-busy",
                "The server is busy. Please wait 2 seconds and try again.");
        }
        if (name.includes("renew")) {
            stats.renewals++;
        }
        const body = operation(queue, request.body ?? {});
        answer.body = body;
        answer.application_properties.statusCode = types.wrap_int(body ? 200 : 204);
        answer.application_properties.statusDescription = body ? "OK" : "No Content";
    } catch (error) {
        const condition = error.condition ?? "amqp:internal-error";
        stats.requestsRefused++;
        answer.application_properties.statusCode = types.wrap_int(statuses[condition] ?? (error.condition ? 400 : 500));
        answer.application_properties.statusDescription = error.message;
        answer.application_properties.errorCondition = types.wrap_symbol(condition);
    }
    return answer;
}
