// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

import { Queue } from "./queue.mjs";
import { ruleForAll } from "./topic_description.mjs";

const deadLetterSuffix = "/$deadletterqueue";
const managementSuffix = "/$management";

/** A topic hands each message to every subscription of which a rule matches. */
export class Topic {
    subscriptions = new Map();
    #clock;
    #scheduled = new Map(); // timers by sequence number
    #lastSequenceNumber = 0;

    /** @param settings  `duplicateDetectionWindowMs`, which the subscriptions take care of */
    constructor(settings, clock) {
        this.settings = { maxMessageSize: 262_144, ...settings };
        this.#clock = clock;
    }

    /** @returns undefined for what is a duplicate everywhere */
    enqueue(message) {
        if (message.scheduledAt > this.#clock.now()) {
            const sequenceNumber = ++this.#lastSequenceNumber;
            this.#scheduled.set(sequenceNumber, this.#clock.at(message.scheduledAt, () => {
                this.#scheduled.delete(sequenceNumber);
                this.enqueue(message);
            }));
            return { ...message, sequenceNumber };
        }
        const takers = [...this.subscriptions.values()]
            .filter(({ rules }) => [...rules.values()].some(({ matches }) => matches(message)));
        const entries = takers.map((subscription) => subscription.enqueue(message));
        return takers.length === 0 ? message : entries.find((entry) => entry !== undefined);
    }

    /** @returns false if there is no such scheduled message */
    cancelScheduled(sequenceNumber) {
        this.#clock.cancel(this.#scheduled.get(sequenceNumber));
        return this.#scheduled.delete(sequenceNumber);
    }
}

/** What a namespace holds: queues, topics, and the rules that say who may do what. */
export class Namespace {
    queues = new Map();
    topics = new Map();
    rules = new Map(); // by key name: { key, rights: Set }
    identities = new Map(); // rights of Microsoft Entra's identities, by object id
    removed = () => {}; // called with the address of what is no longer there

    constructor(clock, entraKey) {
        this.clock = clock;
        this.entraKey = entraKey;
    }

    putRule(name, key, rights) {
        this.rules.set(name, { key, rights: new Set(rights) });
    }

    createQueue(name, settings) {
        this.deleteQueue(name);
        const queue = new Queue(settings, this.clock);
        this.queues.set(name, queue);
        return queue;
    }

    deleteQueue(name) {
        const wasThere = this.queues.delete(name);
        if (wasThere) {
            this.removed(name);
        }
        return wasThere;
    }

    createTopic(name, settings) {
        const topic = new Topic(settings, this.clock);
        this.topics.set(name, topic);
        return topic;
    }

    /** @param rule  in place of the one that matches every message */
    createSubscription(topicName, name, settings, rule = ruleForAll()) {
        const topic = this.topics.get(topicName);
        const { duplicateDetectionWindowMs = 0 } = topic.settings;
        const subscription = new Queue({ ...settings, duplicateDetectionWindowMs }, this.clock);
        subscription.rules = new Map([[rule.name ?? "$Default", rule]]);
        topic.subscriptions.set(name.toLowerCase(), subscription);
        return subscription;
    }

    /** What a sender's address names: a queue or a topic; undefined if there is none. */
    target(address) {
        return this.queues.get(address) ?? this.topics.get(address);
    }

    /** What a receiver's address names: a queue, a subscription, or the dead letters of either. */
    source(address) {
        if (address.toLowerCase().endsWith(deadLetterSuffix)) {
            return this.source(address.slice(0, -deadLetterSuffix.length))?.deadLetters;
        }
        const parts = address.split("/");
        if (parts.length === 3 && parts[1].toLowerCase() === "subscriptions") {
            return this.topics.get(parts[0])?.subscriptions.get(parts[2].toLowerCase());
        }
        return this.queues.get(address);
    }
}

/** @returns the address without scheme and host, as some clients write it */
export function plainAddress(address) {
    const found = /^(?:sb|amqps?|https?):\/\/[^/]+\/(.*)$/i.exec(address ?? "");
    return decodeURIComponent(found ? found[1] : address ?? "").replace(/^\/+|\/+$/g, "");
}

/** @returns the entity whose `$management` this is; undefined if it is none */
export function managedEntity(address) {
    return address.endsWith(managementSuffix) ? address.slice(0, -managementSuffix.length) : undefined;
}
