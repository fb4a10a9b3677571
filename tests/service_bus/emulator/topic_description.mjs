// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

// Topics, subscriptions and rules as Atom entries.

import { durationToMs, forever } from "./duration.mjs";
import { correlationFilter, FilterError, sqlFilter } from "./filters.mjs";
import {
    atomNamespace, boolean, countDetails, DescriptionError, describedElement, durationWithin, element, integerFrom, longestLockMs,
    longestWindowMs, readSettings, schemaInstanceNamespace, serviceBusNamespace, shortestWindowMs, shortText, total,
} from "./queue_description.mjs";
import { childOf, escapeXml } from "./xml.mjs";

const schemaNamespace = "http://www.w3.org/2001/XMLSchema";

/** As of a queue: what may be set, in the schema's order. */
const topicSettings = {
    DefaultMessageTimeToLive: { initial: forever, only: forever },
    MaxSizeInMegabytes: { initial: "1024", check: integerFrom(1) },
    RequiresDuplicateDetection: { initial: "false", check: boolean, fixed: true },
    DuplicateDetectionHistoryTimeWindow: { initial: "PT10M", check: durationWithin(shortestWindowMs, longestWindowMs) },
    EnableBatchedOperations: { initial: "true", check: boolean },
    Status: { initial: "Active", only: "Active" },
    UserMetadata: { check: shortText },
    SupportOrdering: { initial: "true", only: "true" },
    AutoDeleteOnIdle: { initial: forever, only: forever },
    EnablePartitioning: { initial: "false", only: "false" },
    EnableExpress: { initial: "false", only: "false" },
    MaxMessageSizeInKilobytes: { initial: "256", check: integerFrom(1) },
};
const subscriptionSettings = {
    LockDuration: { initial: "PT1M", check: durationWithin(1, longestLockMs) },
    RequiresSession: { initial: "false", check: boolean, fixed: true },
    DefaultMessageTimeToLive: { initial: forever, check: durationWithin(1000, Infinity) },
    DeadLetteringOnMessageExpiration: { initial: "false", check: boolean },
    DeadLetteringOnFilterEvaluationExceptions: { initial: "true", only: "true" },
    DefaultRuleDescription: {},
    MaxDeliveryCount: { initial: "10", check: integerFrom(1) },
    EnableBatchedOperations: { initial: "true", check: boolean },
    Status: { initial: "Active", only: "Active" },
    ForwardTo: { only: "" },
    UserMetadata: { check: shortText },
    ForwardDeadLetteredMessagesTo: { only: "" },
    AutoDeleteOnIdle: { initial: forever, only: forever },
};
/** A correlation filter's fields, in the schema's order, and what a message calls them. */
const correlationFields = {
    CorrelationId: "correlationId", MessageId: "messageId", To: "to", ReplyTo: "replyTo", Label: "subject",
    SessionId: "sessionId", ReplyToSessionId: "replyToSessionId", ContentType: "contentType",
};

export function readTopicDescription(text, present) {
    return readSettings(describedElement(text, "TopicDescription"), topicSettings, present);
}

/** @returns {{description: Object, defaultRule: Object|undefined}} the rule in place of the one that matches all */
export function readSubscriptionDescription(text, present) {
    const described = describedElement(text, "SubscriptionDescription");
    const { DefaultRuleDescription: _, ...description } = readSettings(described, subscriptionSettings, present);
    const rule = childOf(described, "DefaultRuleDescription", serviceBusNamespace);
    return { description, defaultRule: rule && ruleOf(rule) };
}

/** @returns {{name: string|undefined, filter: string, matches: function}} `filter` is what a client is shown */
export function readRuleDescription(text) {
    return ruleOf(describedElement(text, "RuleDescription"));
}

/** The rule of a subscription that was made without one. */
export function ruleForAll() {
    return sqlRule("$Default", "1=1", "TrueFilter");
}

export function ruleBySql(name, expression) {
    return sqlRule(name, expression, "SqlFilter");
}

function sqlRule(name, expression, type) {
    return { name, matches: sqlFilter(expression), filter: typed("Filter", type, element("SqlExpression", expression)) };
}

function ruleOf(described) {
    const child = (name) => childOf(described, name, serviceBusNamespace);
    if (child("Action") && child("Action").type !== "EmptyRuleAction") {
        throw new DescriptionError("The emulator does not know actions.");
    }
    const name = child("Name")?.text;
    const filter = child("Filter");
    try {
        switch (filter?.type) {
            case undefined:
            case "TrueFilter": return { ...ruleForAll(), name };
            case "SqlFilter": {
                if (childOf(filter, "Parameters", serviceBusNamespace)) {
                    throw new DescriptionError("The emulator does not know parameters.");
                }
                return sqlRule(name, childOf(filter, "SqlExpression", serviceBusNamespace)?.text ?? "", "SqlFilter");
            }
            case "CorrelationFilter": return correlationRule(name, filter);
            default: throw new DescriptionError(`The emulator does not know a filter of type '${filter.type}'.`);
        }
    } catch (error) {
        throw error instanceof FilterError ? new DescriptionError(error.message) : error;
    }
}

function correlationRule(name, filter) {
    const wanted = {};
    let reached = -1;
    let shown = "";
    for (const { name: field, text, children } of filter.children) {
        const position = [...Object.keys(correlationFields), "Properties"].indexOf(field);
        if (position < 0) {
            throw new DescriptionError(`A correlation filter has no field '${field}'.`);
        }
        reached = Math.max(reached, position);
        if (field === "Properties") {
            wanted.properties = Object.fromEntries(children.map(propertyOf));
            shown += `<Properties>${children.map(({ children: [key, value] }) =>
                `<KeyValueOfstringanyType>${element("Key", key.text)}<Value i:type="d6p1:${value.type}" ` +
                `xmlns:d6p1="${schemaNamespace}">${escapeXml(value.text)}</Value></KeyValueOfstringanyType>`).join("")}</Properties>`;
        } else {
            wanted[correlationFields[field]] = text;
            shown += element(field, text);
        }
    }
    if (Object.keys(wanted).length === 0) {
        throw new DescriptionError("A correlation filter needs at least one field.");
    }
    return { name, matches: correlationFilter(wanted), filter: typed("Filter", "CorrelationFilter", shown) };
}

function propertyOf({ children: [key, value] }) {
    const { type, text } = value;
    switch (type) {
        case "string": return [key.text, text];
        case "boolean": return [key.text, text === "true"];
        case "int": case "long": case "double": return [key.text, Number(text)];
        case "dateTime": return [key.text, Date.parse(text)];
        default: throw new DescriptionError(`The emulator does not know a property of type '${type}'.`);
    }
}

function typed(name, type, content) {
    return `<${name} i:type="${type}">${content}</${name}>`;
}

/** The emulator's settings that a subscription's description stands for. */
export function settingsOfSubscription(description) {
    return {
        lockDurationMs: durationToMs(description.LockDuration),
        maxDeliveryCount: Number(description.MaxDeliveryCount),
        requiresSession: description.RequiresSession === "true",
        defaultTtlMs: durationToMs(description.DefaultMessageTimeToLive),
        deadLetterOnExpiration: description.DeadLetteringOnMessageExpiration === "true",
    };
}

export function windowOf({ RequiresDuplicateDetection, DuplicateDetectionHistoryTimeWindow }) {
    return RequiresDuplicateDetection === "true" ? durationToMs(DuplicateDetectionHistoryTimeWindow) : 0;
}

export function defaultTopicDescription() {
    return initialOf(topicSettings);
}

export function defaultSubscriptionDescription(settings) {
    return { ...initialOf(subscriptionSettings), RequiresSession: String(settings.requiresSession) };
}

function initialOf(settings) {
    return Object.fromEntries(Object.entries(settings).filter(([, { initial }]) => initial !== undefined)
        .map(([name, { initial }]) => [name, initial]));
}

const times = ({ now }) => ["CreatedAt", "UpdatedAt", "AccessedAt"]
    .map((name) => element(name, new Date(now).toISOString())).join("");
const elements = (description) => Object.entries(description).map(([name, value]) => element(name, value)).join("");

export function topicEntry(place, description, subscriptions) {
    return entry(place, "TopicDescription", elements(description) + times(place) + element("SubscriptionCount", subscriptions) +
        element("EntityAvailabilityStatus", "Available"));
}

export function subscriptionEntry(place, description, counts) {
    return entry(place, "SubscriptionDescription",
        elements(description) + element("MessageCount", total(counts)) + times(place) + countDetails(counts) +
            element("EntityAvailabilityStatus", "Available"));
}

export function ruleEntry(place, { name, filter }) {
    return entry(place, "RuleDescription",
        `${filter}${typed("Action", "EmptyRuleAction", "")}${element("Name", name)}`);
}

function entry({ url, title, author, now }, kind, content) {
    const time = new Date(now).toISOString();
    return `<entry xmlns="${atomNamespace}"><id>${escapeXml(url)}</id><title type="text">${escapeXml(title)}</title>` +
        `<published>${time}</published><updated>${time}</updated><author><name>${escapeXml(author)}</name></author>` +
        `<link rel="self" href="${escapeXml(url)}"/><content type="application/xml"><${kind} xmlns="${serviceBusNamespace}" ` +
        `xmlns:i="${schemaInstanceNamespace}">${content}</${kind}></content></entry>`;
}
