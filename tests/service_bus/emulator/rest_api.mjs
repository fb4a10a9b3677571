// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

// The namespace's management REST API, as far as queues, topics, subscriptions and rules go: Atom entries in and out, api-version 2021-05.
//
// Two habits of the real service that surprise, kept here on purpose: a GET of something that does not exist is
// answered with 200 and an empty feed, and a token without the Manage right with 401, not 403.

import { createServer as createHttpServer } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import { randomUUID } from "node:crypto";

import {
    atomNamespace, descriptionOf, DescriptionError, queueEntry, readQueueDescription, settingsOf,
} from "./queue_description.mjs";
import { rightsOf, TokenError } from "./rest_token.mjs";
import { answerAboutTopics } from "./topic_api.mjs";
import { escapeXml } from "./xml.mjs";

const longestBody = 65_536;
const queueList = /^\/\$resources\/queues\/?$/i;
const validName = /^[A-Za-z0-9](?:[\w./-]{0,258}[A-Za-z0-9_])?$/;

/** An answer that is an error: its status and the sentence in its body. */
class Refusal extends Error {
    constructor(status, detail) {
        super(detail);
        this.status = status;
    }
}

const topicRefusals = {
    missing: new Refusal(404, "SubCode=40400. Not Found. The Operation doesn't exist."),
    present: new Refusal(409, "SubCode=40900. Conflict. You're requesting an operation that isn't allowed in the resource's " +
        "current state."),
    unauthorised: new Refusal(401, "Manage,EntityRead claims required for this operation."),
};

/**
 * Serves the management API on 127.0.0.1.
 *
 * @param {{namespace: Object, port?: number, tls?: {key: string|Buffer, cert: string|Buffer}}} options
 * @returns {Promise<{port: number, close: () => Promise<void>}>}
 */
export async function startRestApi({ namespace, port = 0, tls }) {
    const api = new RestApi(namespace, tls ? "https" : "http");
    const listener = (request, response) => api.serve(request, response);
    const server = tls ? createHttpsServer(tls, listener) : createHttpServer(listener);
    await new Promise((resolve, reject) => {
        server.once("error", reject);
        server.listen(port, "127.0.0.1", resolve);
    });
    return {
        port: server.address().port,
        close: () => new Promise((resolve) => {
            server.close(() => resolve());
            server.closeAllConnections();
        }),
    };
}

class RestApi {
    #namespace;
    #scheme;
    /** What the API itself was told of a queue, and when, by the queue it was told of. */
    #records = new WeakMap();

    constructor(namespace, scheme) {
        this.#namespace = namespace;
        this.#scheme = scheme;
    }

    /** Answers a request; whatever goes wrong goes to the client and does not reach the caller. */
    async serve(request, response) {
        const url = new URL(request.url, `${this.#scheme}://${request.headers.host ?? "localhost"}`);
        try {
            const { status, body, type } = await this.#answer(request, url);
            send(response, status, body ?? "", type);
        } catch (error) {
            const refusal = refusalOf(error);
            if (refusal.status === 500) {
                process.stderr.write(`${request.method} ${request.url}: ${error.stack}\n`);
            }
            send(response, refusal.status, errorBody(refusal, url, new Date(this.#now())), "application/xml");
        }
    }

    async #answer(request, url) {
        const body = await readBody(request);
        const rights = rightsOf(request.headers.authorization, { host: url.hostname, path: decodedPath(url) },
            this.#namespace);
        const target = { url, name: decodedPath(url).slice(1), mayManage: rights.has("Manage") };
        const isUpdate = request.headers["if-match"] === "*";
        const answer = answerAboutTopics(this.#namespace, { ...target, method: request.method, body, isUpdate }, topicRefusals);
        if (answer) {
            const { status, entries, isList } = answer;
            return isList ? feed(url, target.name, entries, this.#now())
                : { status, body: entries[0], type: "application/atom+xml;type=entry" };
        }
        switch (request.method) {
            case "GET":
                return queueList.test(url.pathname) ? this.#list(target) : this.#get(target);
            case "PUT":
                return this.#put(target, body, isUpdate);
            case "DELETE":
                return this.#delete(target);
            default:
                throw new Refusal(405, `The method ${request.method} is not known here.`);
        }
    }

    #get(target) {
        const queue = this.#namespace.queues.get(target.name);
        if (!queue) {
            return feed(target.url, "Publicly Listed Services", [], this.#now());
        }
        if (!target.mayManage) {
            throw new Refusal(401, "Manage,EntityRead claims required for this operation.");
        }
        return { status: 200, body: this.#entry(target.url, target.name, queue), type: "application/atom+xml;type=entry" };
    }

    #list({ url, mayManage }) {
        if (!mayManage) {
            throw new Refusal(401, "Manage,EntityRead claims required for this operation.");
        }
        const skip = Number(url.searchParams.get("$skip") ?? 0);
        const top = Number(url.searchParams.get("$top") ?? 100);
        const names = [...this.#namespace.queues.keys()].sort().slice(skip, skip + top);
        const entries = names.map((name) =>
            this.#entry(new URL(`/${name}${url.search}`, url), name, this.#namespace.queues.get(name)));
        return feed(url, "Queues", entries, this.#now());
    }

    #put({ url, name, mayManage }, body, isUpdate) {
        if (!mayManage) {
            throw new Refusal(401, "Authorization failed for specified action: Manage,EntityWrite.");
        }
        if (!validName.test(name)) {
            throw new Refusal(400, `'${name}' is no valid name of an entity.`);
        }
        const present = this.#namespace.queues.get(name);
        if (!isUpdate && (present || this.#namespace.topics.has(name))) {
            throw new Refusal(409, "SubCode=40900. Conflict. You're requesting an operation that isn't allowed in the " +
                "resource's current state.");
        }
        if (isUpdate && !present) {
            throw new Refusal(404, "SubCode=40400. Not Found. The Operation doesn't exist.");
        }
        const description = readQueueDescription(body, present && this.#record(present).description);
        const queue = present ?? this.#namespace.createQueue(name, settingsOf(description));
        if (present) {
            present.configure(settingsOf(description));
        }
        const { createdAt } = this.#record(queue);
        this.#records.set(queue, { description, createdAt, updatedAt: new Date(this.#now()) });
        return { status: present ? 200 : 201, body: this.#entry(url, name, queue), type: "application/atom+xml;type=entry" };
    }

    #delete({ name, mayManage }) {
        if (!mayManage) {
            throw new Refusal(401, "Authorization failed for specified action: Manage,EntityDelete.");
        }
        if (!this.#namespace.queues.has(name)) {
            throw new Refusal(404, "SubCode=40400. Not Found. The Operation doesn't exist.");
        }
        this.#namespace.deleteQueue(name);
        return { status: 200 };
    }

    #entry(url, name, queue) {
        return queueEntry({ name, url: url.href, author: url.hostname, counts: queue.counts(), ...this.#record(queue) });
    }

    #record(queue) {
        let record = this.#records.get(queue);
        if (!record) {
            const now = new Date(this.#now());
            record = { description: descriptionOf(queue.settings), createdAt: now, updatedAt: now };
            this.#records.set(queue, record);
        }
        return record;
    }

    #now() {
        return this.#namespace.clock.now();
    }
}

function decodedPath(url) {
    try {
        return decodeURIComponent(url.pathname);
    } catch {
        throw new Refusal(400, "The path is not well formed.");
    }
}

async function readBody(request) {
    const parts = [];
    let size = 0;
    for await (const part of request) {
        size += part.length;
        if (size > longestBody) {
            throw new Refusal(413, "The body is too large.");
        }
        parts.push(part);
    }
    return Buffer.concat(parts).toString("utf8");
}

function feed(url, title, entries, now) {
    const body = `<feed xmlns="${atomNamespace}"><title type="text">${title}</title><id>${escapeXml(url.href)}</id>` +
        `<updated>${new Date(now).toISOString()}</updated><generator>Service Bus 1.1</generator>` +
        `${entries.join("")}</feed>`;
    return { status: 200, body, type: "application/atom+xml;type=feed" };
}

function refusalOf(error) {
    if (error instanceof Refusal) {
        return error;
    }
    if (error instanceof TokenError) {
        return new Refusal(401, error.message);
    }
    if (error instanceof DescriptionError) {
        return new Refusal(400, `SubCode=40000. Bad Request. ${error.message}`);
    }
    return new Refusal(500, `SubCode=50000. Internal Error. ${error.message}`);
}

function errorBody({ status, message }, url, now) {
    const trace = `TrackingId:${randomUUID()}, SystemTracker:${url.hostname}:${url.pathname.slice(1)}, ` +
        `Timestamp:${now.toISOString().slice(0, 19)}`;
    return `<Error><Code>${status}</Code><Detail>${escapeXml(`${message} ${trace}`)}</Detail></Error>`;
}

function send(response, status, body, type) {
    const headers = { "content-length": Buffer.byteLength(body) };
    if (type) {
        headers["content-type"] = `${type};charset=utf-8`;
    }
    response.writeHead(status, headers).end(body);
}
