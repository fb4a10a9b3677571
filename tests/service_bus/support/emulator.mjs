// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

import { spawn } from "node:child_process";
import { request } from "node:http";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const program = fileURLToPath(new URL("../emulator/main.mjs", import.meta.url));
const startLimitMs = 15_000;
const stopLimitMs = 5_000;

export const defaultKeyName = "RootManageSharedAccessKey";
export const defaultKey = "test-key-of-the-emulator";

/**
 * Starts the emulator as a child process and waits until all its ports listen.
 *
 * @param {{keyName?: string, key?: string, certificate?: string, privateKey?: string, host?: string}} [options]
 *     `certificate` and `privateKey` are paths of PEM files and add the TLS port; `host` is the name clients use,
 *     which the certificate has to carry
 * @returns {Promise<Emulator>}
 * @throws {Error} with what the program wrote to stderr, if it does not come up
 */
export async function startEmulator(options = {}) {
    const { keyName = defaultKeyName, key = defaultKey, certificate, privateKey, host } = options;
    const args = [program, "--key-name", keyName, "--key", key];
    if (certificate) {
        args.push("--certificate", certificate, "--private-key", privateKey);
    }
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
    const complaints = [];
    child.stderr.setEncoding("utf8").on("data", (text) => complaints.push(text));
    try {
        const ports = await firstLine(child);
        return new Emulator({ child, ports, keyName, key, complaints, host });
    } catch (error) {
        child.kill("SIGKILL");
        throw new Error(`the emulator did not start: ${error.message}\n${complaints.join("")}`);
    }
}

function firstLine(child) {
    return new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`no line within ${startLimitMs} ms`)), startLimitMs);
        const finish = (settle, value) => {
            clearTimeout(timer);
            settle(value);
        };
        child.once("error", (error) => finish(reject, error));
        child.once("exit", (code, signal) => finish(reject, new Error(`it ended with ${signal ?? code}`)));
        createInterface({ input: child.stdout }).once("line", (line) => {
            try {
                finish(resolve, JSON.parse(line));
            } catch {
                finish(reject, new Error(`its first line is no JSON: ${line}`));
            }
        });
    });
}

/** A running emulator: its ports, connection strings for it, and a client of its control port. */
export class Emulator {
    constructor({ child, ports, keyName, key, complaints, host = "127.0.0.1" }) {
        this.child = child;
        this.ports = ports;
        this.keyName = keyName;
        this.key = key;
        this.host = host;
        this.complaints = complaints;
    }

    /**
     * Connection string for plain TCP, as for Microsoft's own emulator.
     *
     * @param {{keyName?: string, key?: string}} [rule]  another rule's name and key
     */
    connectionString({ keyName = this.keyName, key = this.key } = {}) {
        return `Endpoint=sb://${this.host}:${this.ports.amqp};SharedAccessKeyName=${keyName};SharedAccessKey=${key};` +
            "UseDevelopmentEmulator=true;";
    }

    /** Connection string for the TLS port, of the form a real namespace hands out. */
    tlsConnectionString({ keyName = this.keyName, key = this.key } = {}) {
        return `Endpoint=sb://${this.host}:${this.ports.amqps}/;SharedAccessKeyName=${keyName};SharedAccessKey=${key}`;
    }

    /** Connection string whose endpoint is the management REST API. */
    restConnectionString({ keyName = this.keyName, key = this.key } = {}) {
        return `Endpoint=sb://${this.host}:${this.ports.rest}/;SharedAccessKeyName=${keyName};SharedAccessKey=${key}`;
    }

    /**
     * Calls the control port and returns the JSON of the answer.
     *
     * @throws {Error} when the answer is not 2xx
     */
    async control(method, path, body) {
        const { status, text } = await this.#ask(method, path, body === undefined ? "" : JSON.stringify(body));
        if (status < 200 || status > 299) {
            throw new Error(`${method} ${path} answered ${status}: ${text}`);
        }
        return text ? JSON.parse(text) : undefined;
    }

    /** Creates a queue, or empties it and gives it new settings. */
    createQueue(name, settings = {}) {
        return this.control("PUT", `/queues/${encodeURIComponent(name)}`, settings);
    }

    deleteQueue(name) {
        return this.control("DELETE", `/queues/${encodeURIComponent(name)}`);
    }

    createTopic(name) {
        return this.control("PUT", `/topics/${encodeURIComponent(name)}`, {});
    }

    createSubscription(topic, name, settings = {}) {
        return this.control("PUT", `/topics/${encodeURIComponent(topic)}/subscriptions/${encodeURIComponent(name)}`,
            settings);
    }

    /** Creates or replaces an authorization rule of the namespace; rights are of Manage, Send and Listen. */
    putRule(keyName, key, rights) {
        return this.control("PUT", `/rules/${encodeURIComponent(keyName)}`, { key, rights });
    }

    /** Counts of a queue: active, locked, scheduled, deferred, deadLettered, sessions. */
    queue(name) {
        return this.control("GET", `/queues/${encodeURIComponent(name)}`);
    }

    messages(name) {
        return this.control("GET", `/queues/${encodeURIComponent(name)}/messages`);
    }

    /** Moves the emulator's clock on; what became due has happened when the promise resolves. */
    advance(ms) {
        return this.control("POST", "/clock/advance", { ms });
    }

    /** The emulator's time, in milliseconds since 1970. */
    async now() {
        return (await this.control("GET", "/clock")).now;
    }

    /** Asks for a fault: drop, random, detach, close, busy, slow, expire, lose-outcomes, silent, refuse, drain, attach. */
    fault(name, body = {}) {
        return this.control("POST", `/faults/${name}`, body);
    }

    stats() {
        return this.control("GET", "/stats");
    }

    /** Stops the process; resolves when it is gone. Kills it if it does not heed SIGTERM. */
    async stop() {
        if (this.child.exitCode !== null || this.child.signalCode !== null) {
            return;
        }
        const gone = new Promise((resolve) => this.child.once("exit", resolve));
        this.child.kill("SIGTERM");
        const timer = setTimeout(() => this.child.kill("SIGKILL"), stopLimitMs);
        await gone;
        clearTimeout(timer);
    }

    #ask(method, path, text) {
        return new Promise((resolve, reject) => {
            const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(text) };
            const options = { host: "127.0.0.1", port: this.ports.control, method, path, headers, agent: false };
            const call = request(options, (answer) => {
                const parts = [];
                answer.on("data", (part) => parts.push(part));
                answer.on("error", reject);
                answer.on("end", () => resolve({ status: answer.statusCode, text: Buffer.concat(parts).toString() }));
            });
            call.on("error", reject);
            call.end(text);
        });
    }
}
