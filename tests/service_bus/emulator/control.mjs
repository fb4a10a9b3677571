// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

// The control port: tests make queues, look into them, move the time and ask for faults.

import { createServer } from "node:http";

import { ruleBySql } from "./topic_description.mjs";

/** Serves the control port on 127.0.0.1. @returns its port */
export async function startControl({ namespace, amqp, faults, stats, port = 0 }) {
    const routes = routesOf({ namespace, amqp, faults, stats });
    const server = createServer(async (request, response) => {
        const parts = [];
        for await (const part of request) {
            parts.push(part);
        }
        const path = new URL(request.url, "http://localhost").pathname;
        let status = 404;
        let answer = { error: `nothing at ${request.method} ${path}` };
        try {
            const body = parts.length > 0 ? JSON.parse(Buffer.concat(parts).toString() || "{}") : {};
            for (const [method, pattern, action] of routes) {
                const found = method === request.method && pattern.exec(path);
                if (found) {
                    answer = action(found.slice(1).map(decodeURIComponent), body ?? {}) ?? {};
                    status = answer === notFound ? 404 : 200;
                    break;
                }
            }
        } catch (error) {
            [status, answer] = [400, { error: error.message }];
        }
        response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(answer));
    });
    await new Promise((resolve) => server.listen(port, "127.0.0.1", resolve));
    return server.address().port;
}

const notFound = { error: "there is no such entity" };

function routesOf({ namespace, amqp, faults, stats }) {
    const { clock } = namespace;
    return [
        ["PUT", /^\/queues\/([^/]+)$/, ([name], settings) => { namespace.createQueue(name, settings); }],
        ["DELETE", /^\/queues\/([^/]+)$/, ([name]) => namespace.deleteQueue(name) ? {} : notFound],
        ["GET", /^\/queues\/([^/]+)$/, ([name]) => namespace.queues.get(name)?.counts() ?? notFound],
        ["GET", /^\/queues\/([^/]+)\/messages$/, ([name]) => messagesOf(namespace.queues.get(name))],
        ["POST", /^\/queues\/([^/]+)\/messages$/, ([name], body) => putRaw(namespace.queues.get(name), body)],
        ["PUT", /^\/topics\/([^/]+)$/, ([name], settings) => { namespace.createTopic(name, settings); }],
        ["GET", /^\/topics\/([^/]+)\/subscriptions\/([^/]+)$/, ([topic, name]) =>
            namespace.topics.get(topic)?.subscriptions.get(name.toLowerCase())?.counts() ?? notFound],
        ["PUT", /^\/topics\/([^/]+)\/subscriptions\/([^/]+)$/, ([topic, name], { rule, ...settings }) => {
            namespace.createSubscription(topic, name, settings, rule && ruleBySql("$Default", rule));
        }],
        ["PUT", /^\/rules\/([^/]+)$/, ([name], { key, rights }) => { namespace.putRule(name, key, rights); }],
        ["PUT", /^\/identities\/([^/]+)$/, ([id], { rights }) => { namespace.identities.set(id, rights); }],
        ["POST", /^\/clock\/advance$/, (_, { ms }) => {
            clock.advance(ms);
            return { now: clock.now() };
        }],
        ["GET", /^\/clock$/, () => ({ now: clock.now(), offset: clock.offset })],
        ["POST", /^\/faults\/none$/, () => {
            amqp.setSilent(false);
            faults.clear();
        }],
        ["POST", /^\/faults\/drop$/, () => amqp.drop()],
        ["POST", /^\/faults\/random$/, (_, body) => faults.setRandom(body)],
        ["POST", /^\/faults\/detach$/, (_, { entity, condition }) => amqp.detachAll(entity, condition)],
        ["POST", /^\/faults\/close$/, (_, { condition, deaf }) => amqp.closeAll(condition, deaf)],
        ["POST", /^\/faults\/end$/, (_, { condition, deaf }) => amqp.endAll(condition, deaf)],
        ["POST", /^\/faults\/busy$/, (_, { count = 1 }) => faults.setBusy(count)],
        ["POST", /^\/faults\/abort$/, (_, { count = 1 }) => { faults.aborts = count; }],
        ["POST", /^\/faults\/progress$/, (_, { count = 1 }) => { faults.progresses = count; }],
        ["POST", /^\/faults\/settled$/, (_, { count = 1 }) => { faults.settled = count; }],
        ["POST", /^\/faults\/oversized$/, (_, { count = 1 }) => { faults.oversized = count; }],
        ["POST", /^\/faults\/slow$/, (_, { ms = 0 }) => { faults.slowMs = ms; }],
        ["POST", /^\/faults\/drain$/, (_, body) => faults.links.setDrain(body)],
        ["POST", /^\/faults\/attach$/, (_, body) => faults.links.setAttach(body)],
        ["POST", /^\/faults\/expire$/, () => amqp.expireTokens()],
        ["POST", /^\/faults\/lose-outcomes$/, (_, { count = 1 }) => faults.setLostOutcomes(count)],
        ["POST", /^\/faults\/silent$/, (_, { on = true }) => amqp.setSilent(on)],
        ["POST", /^\/faults\/refuse$/, (_, { on = true }) => { faults.refuse = on; }],
        ["GET", /^\/stats$/, () => ({ ...stats, links: amqp.openLinks() })],
    ];
}

/** Stores bytes as a message's sections, whatever they are. */
function putRaw(queue, { messageId, sessionId, base64 }) {
    const bytes = Buffer.from(base64, "base64");
    return queue?.enqueue({ messageId, sessionId, annotations: {}, sections: [[undefined, bytes]], size: bytes.length })
        ? {} : notFound;
}

function messagesOf(queue) {
    return queue ? [...queue.entries()].map(({ sequenceNumber, messageId, sessionId, state, deliveries }) =>
        ({ sequenceNumber, messageId, sessionId, state, deliveryCount: deliveries })) : notFound;
}
