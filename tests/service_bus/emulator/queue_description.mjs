// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

import { durationToMs, forever, msToDuration } from "./duration.mjs";
import { childOf, escapeXml, parseXml } from "./xml.mjs";

export const atomNamespace = "http://www.w3.org/2005/Atom";
export const serviceBusNamespace = "http://schemas.microsoft.com/netservices/2010/10/servicebus/connect";
const countsNamespace = "http://schemas.microsoft.com/netservices/2011/06/servicebus";
export const schemaInstanceNamespace = "http://www.w3.org/2001/XMLSchema-instance";

/** A description that the service refuses with status 400. */
export class DescriptionError extends Error {}

export const longestLockMs = 5 * 60_000;
export const shortestWindowMs = 20_000;
export const longestWindowMs = 7 * 86_400_000;

/**
 * What a client may set, in the order the service's schema has it: a property out of order is not seen by the
 * service, and neither is one it does not know. `fixed` ones stay as they were created; of those with `only` the
 * emulator knows that value and refuses every other, rather than take it and do nothing.
 */
const settable = {
    LockDuration: { initial: "PT1M", check: durationWithin(1, longestLockMs) },
    MaxSizeInMegabytes: { initial: "1024", check: integerFrom(1) },
    RequiresDuplicateDetection: { initial: "false", check: boolean, fixed: true },
    RequiresSession: { initial: "false", check: boolean, fixed: true },
    DefaultMessageTimeToLive: { initial: forever, check: durationWithin(1000, Infinity) },
    DeadLetteringOnMessageExpiration: { initial: "false", check: boolean },
    DuplicateDetectionHistoryTimeWindow: { initial: "PT10M", check: durationWithin(shortestWindowMs, longestWindowMs) },
    MaxDeliveryCount: { initial: "10", check: integerFrom(1) },
    EnableBatchedOperations: { initial: "true", check: boolean },
    AuthorizationRules: { only: "" },
    Status: { initial: "Active", only: "Active" },
    ForwardTo: { only: "" },
    UserMetadata: { check: shortText },
    AutoDeleteOnIdle: { initial: forever, only: forever },
    EnablePartitioning: { initial: "false", only: "false" },
    ForwardDeadLetteredMessagesTo: { only: "" },
    EnableExpress: { initial: "false", only: "false" },
    MaxMessageSizeInKilobytes: { initial: "256", check: integerFrom(1) },
};
const order = Object.keys(settable);

export function durationWithin(leastMs, mostMs) {
    return (text) => {
        const ms = durationToMs(text) ?? Infinity;
        return ms >= leastMs && ms <= mostMs;
    };
}

export function integerFrom(least) {
    return (text) => /^\d{1,10}$/.test(text) && Number(text) >= least;
}

export function boolean(text) {
    return text === "true" || text === "false";
}

export function shortText(text) {
    return text.length <= 1024;
}

/**
 * Reads the Atom entry of a PUT.
 *
 * @param {string} text      the body
 * @param {Object} [present]  description of the queue to update
 * @returns {Object} the whole description, defaults filled in: text by property name
 * @throws {DescriptionError} if the entry or a value is not acceptable
 */
export function readQueueDescription(text, present) {
    return readSettings(describedElement(text, "QueueDescription"), settable, present);
}

/** As for a queue, by the settings of any kind of entity. */
export function readSettings(described, settable, present) {
    const given = givenProperties(described, Object.keys(settable));
    const description = {};
    for (const [name, { initial, check, fixed, only }] of Object.entries(settable)) {
        const value = given.get(name) ?? initial;
        if (value === undefined) {
            continue;
        }
        if (only !== undefined && value !== only) {
            throw new DescriptionError(`The emulator does not know ${name} '${value}'.`);
        }
        if (check && !accepts(check, value)) {
            throw new DescriptionError(`The value '${value}' of the property ${name} is not valid.`);
        }
        if (fixed && present && present[name] !== value) {
            throw new DescriptionError(`The value for the ${name} property of an existing entity cannot be changed.`);
        }
        description[name] = value;
    }
    return description;
}

function accepts(check, value) {
    try {
        return check(value);
    } catch (error) {
        if (error instanceof RangeError) {
            return false;
        }
        throw error;
    }
}

/** The description in an Atom entry. */
export function describedElement(text, kind) {
    let entry;
    try {
        entry = parseXml(text);
    } catch (error) {
        throw new DescriptionError(`The body is not well formed: ${error.message}.`);
    }
    const content = entry.name === "entry" && entry.namespace === atomNamespace &&
        childOf(entry, "content", atomNamespace);
    const described = content && childOf(content, kind, serviceBusNamespace);
    if (!described) {
        throw new DescriptionError(`The body is no Atom entry with a ${kind}.`);
    }
    return described;
}

function givenProperties(described, order) {
    const given = new Map();
    let reached = -1;
    for (const { name, namespace, text: value } of described.children) {
        const position = order.indexOf(name);
        if (namespace === serviceBusNamespace && position > reached) {
            given.set(name, value);
            reached = position;
        }
    }
    return given;
}

/** The emulator's settings that a description stands for. */
export function settingsOf(description) {
    return {
        lockDurationMs: durationToMs(description.LockDuration),
        maxDeliveryCount: Number(description.MaxDeliveryCount),
        requiresSession: description.RequiresSession === "true",
        duplicateDetectionWindowMs: description.RequiresDuplicateDetection === "true"
            ? durationToMs(description.DuplicateDetectionHistoryTimeWindow) : 0,
        maxMessageSize: Number(description.MaxMessageSizeInKilobytes) * 1024,
        defaultTtlMs: durationToMs(description.DefaultMessageTimeToLive),
        deadLetterOnExpiration: description.DeadLetteringOnMessageExpiration === "true",
    };
}

/** The description of a queue that was not made by this API, from its settings. */
export function descriptionOf(settings) {
    const detects = settings.duplicateDetectionWindowMs > 0;
    return {
        ...Object.fromEntries(order.filter((name) => settable[name].initial !== undefined)
            .map((name) => [name, settable[name].initial])),
        LockDuration: msToDuration(settings.lockDurationMs),
        RequiresDuplicateDetection: String(detects),
        RequiresSession: String(settings.requiresSession),
        DefaultMessageTimeToLive: msToDuration(settings.defaultTtlMs ?? null),
        DeadLetteringOnMessageExpiration: String(settings.deadLetterOnExpiration ?? false),
        DuplicateDetectionHistoryTimeWindow: detects ? msToDuration(settings.duplicateDetectionWindowMs) : "PT10M",
        MaxDeliveryCount: String(settings.maxDeliveryCount),
        MaxMessageSizeInKilobytes: String(Math.ceil(settings.maxMessageSize / 1024)),
    };
}

/**
 * Writes the Atom entry of a queue.
 *
 * @param {{name: string, url: string, author: string, description: Object, counts: Object, createdAt: Date,
 *     updatedAt: Date}} queue  `counts` as the control port has them; `url` is the entry's id
 */
export function queueEntry(queue) {
    const { name, url, author, description, createdAt, updatedAt } = queue;
    const properties = [];
    for (const property of order) {
        if (description[property]) {
            properties.push(element(property, description[property]));
        }
        if (property === "EnableBatchedOperations") {
            properties.push(element("MessageCount", total(queue.counts)), element("IsAnonymousAccessible", "false"));
        } else if (property === "AuthorizationRules") {
            properties.push("<AuthorizationRules></AuthorizationRules>");
        } else if (property === "UserMetadata") {
            properties.push(element("CreatedAt", createdAt.toISOString()),
                element("UpdatedAt", updatedAt.toISOString()), element("AccessedAt", "0001-01-01T00:00:00Z"),
                element("SupportOrdering", "true"), countDetails(queue.counts));
        }
    }
    return `<entry xmlns="${atomNamespace}"><id>${escapeXml(url)}</id><title type="text">${escapeXml(name)}</title>` +
        `<published>${createdAt.toISOString()}</published><updated>${updatedAt.toISOString()}</updated>` +
        `<author><name>${escapeXml(author)}</name></author><link rel="self" href="${escapeXml(url)}"/>` +
        `<content type="application/xml"><QueueDescription xmlns="${serviceBusNamespace}" ` +
        `xmlns:i="${schemaInstanceNamespace}">${properties.join("")}</QueueDescription></content></entry>`;
}

export function element(name, value) {
    return `<${name}>${escapeXml(value)}</${name}>`;
}

export function total({ active, locked, scheduled, deferred, deadLettered }) {
    return active + locked + scheduled + deferred + deadLettered;
}

/** Messages that are locked are no longer ready for delivery; those that are deferred count as active. */
export function countDetails({ active, deferred, deadLettered, scheduled }) {
    const counts = {
        ActiveMessageCount: active + deferred,
        DeadLetterMessageCount: deadLettered,
        ScheduledMessageCount: scheduled,
        TransferMessageCount: 0,
        TransferDeadLetterMessageCount: 0,
    };
    const inner = Object.entries(counts).map(([name, count]) => element(`d2p1:${name}`, count));
    return `<CountDetails xmlns:d2p1="${countsNamespace}">${inner.join("")}</CountDetails>`;
}
