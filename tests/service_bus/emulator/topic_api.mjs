// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

// The part of the REST API that is about topics, subscriptions and rules.

import {
    defaultSubscriptionDescription, defaultTopicDescription, readRuleDescription, readSubscriptionDescription,
    readTopicDescription, ruleEntry, settingsOfSubscription, subscriptionEntry, topicEntry, windowOf,
} from "./topic_description.mjs";

const below = /^(.+?)\/subscriptions(?:\/([^/]+))?(?:\/rules(?:\/([^/]+))?)?\/?$/i;
const ofRules = /\/rules(?:\/|$)/i;

/**
 * Answers a request if it is about a topic or what lies below one.
 *
 * @param {{name: string, url: URL, method: string, body: string, isUpdate: boolean, mayManage: boolean}} request
 * @param {{missing: Error, present: Error, unauthorised: Error}} refusals  what to throw
 * @returns {{status: number, entries: string[]}|undefined}  undefined: it is not
 */
export function answerAboutTopics(namespace, request, refusals) {
    const path = below.exec(request.name);
    const isTopic = namespace.topics.has(request.name) || /<TopicDescription\b/.test(request.body);
    if (!path && !isTopic) {
        return undefined;
    }
    if (!request.mayManage) {
        throw refusals.unauthorised;
    }
    if (!path) {
        return answerAbout(namespace.topics, request.name, request, refusals, ofTopics(namespace, request));
    }
    const [, topicName, name, ruleName] = path;
    const topic = namespace.topics.get(topicName);
    if (!topic) {
        throw refusals.missing;
    }
    if (!ofRules.test(request.name)) {
        return answerAbout(topic.subscriptions, name?.toLowerCase(), request, refusals,
            ofSubscriptions(namespace, request, topicName, topic, name));
    }
    const subscription = topic.subscriptions.get(name.toLowerCase());
    if (!subscription) {
        throw refusals.missing;
    }
    return answerAbout(subscription.rules, ruleName, request, refusals, ofRulesOf(namespace, request, subscription));
}

/** GET, PUT and DELETE of an entity, or a GET of all. */
function answerAbout(entities, key, { method, isUpdate }, refusals, { put, show }) {
    const present = key === undefined ? undefined : entities.get(key);
    switch (method) {
        case "GET":
            return { status: 200, entries: (key === undefined ? [...entities.keys()] : present ? [key] : [])
                .map((each) => show(each, entities.get(each))), isList: key === undefined || !present };
        case "PUT":
            if (present && !isUpdate) {
                throw refusals.present;
            }
            if (!present && isUpdate) {
                throw refusals.missing;
            }
            put(key, present);
            return { status: present ? 200 : 201, entries: [show(key, entities.get(key))] };
        default:
            if (!present) {
                throw refusals.missing;
            }
            entities.delete(key);
            return { status: 200, entries: [] };
    }
}

/** An entry of a list has the address below the list's. */
function placeOf(namespace, { url, name }, title) {
    const isOfList = name.split("/").at(-1).toLowerCase() !== title.toLowerCase();
    const own = isOfList ? new URL(`${url.pathname.replace(/\/$/, "")}/${encodeURIComponent(title)}${url.search}`, url) : url;
    return { url: own.href, title, author: url.hostname, now: namespace.clock.now() };
}

function ofTopics(namespace, request) {
    return {
        put(name, present) {
            const description = readTopicDescription(request.body, present?.description);
            const topic = present ?? namespace.createTopic(name, { duplicateDetectionWindowMs: windowOf(description) });
            topic.description = description;
        },
        show: (name, topic) => topicEntry(placeOf(namespace, request, name), topic.description ?? defaultTopicDescription(),
            topic.subscriptions.size),
    };
}

function ofSubscriptions(namespace, request, topicName, topic, name) {
    return {
        put(key, present) {
            const { description, defaultRule } = readSubscriptionDescription(request.body, present?.description);
            const subscription = present ??
                namespace.createSubscription(topicName, name, settingsOfSubscription(description), defaultRule);
            subscription.configure(settingsOfSubscription(description));
            subscription.description = description;
        },
        show: (key, subscription) => subscriptionEntry(placeOf(namespace, request, key),
            subscription.description ?? defaultSubscriptionDescription(subscription.settings), subscription.counts()),
    };
}

function ofRulesOf(namespace, request, subscription) {
    return {
        put: (name) => subscription.rules.set(name, { ...readRuleDescription(request.body), name }),
        show: (name, rule) => ruleEntry(placeOf(namespace, request, name), rule),
    };
}
