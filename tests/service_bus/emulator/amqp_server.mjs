// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

// The AMQP 1.0 side: connections, who may attach what, and the faults that tests ask for.

import rhea from "rhea";

import { Tokens, TokenRefused } from "./cbs.mjs";
import { IncomingLink, OutgoingLink, ReplyLink } from "./links.mjs";
import { manage } from "./management.mjs";
import { managedEntity, plainAddress } from "./namespace.mjs";
import { BrokerError } from "./queue.mjs";

const { types } = rhea;
const cbsNode = "$cbs";
const idleLinkMs = 10 * 60_000;
const idleConnectionMs = 5 * 60_000;

/** A mechanism that lets everyone in: the tokens decide. */
function open() {
    return { outcome: undefined, start() { this.outcome = true; } };
}

/** A peer may use a handle again as soon as it has detached; rhea forgets the new link with the old one. */
function tolerateReusedHandles(session) {
    session.remove_link = (link) => {
        for (const [handles, handle] of [[session.remote.handles, link.remote.handle],
            [session.local.handles, link.local.handle], [session.links, link.name]]) {
            if (handles[handle] === link) {
                delete handles[handle];
            }
        }
    };
}

/** Serves AMQP on 127.0.0.1. */
export class AmqpServer {
    #sockets = new Set();
    #silenced = new Set(); // those of them that will never get an answer
    #connections = new Set();

    constructor(namespace, faults, stats) {
        this.namespace = namespace;
        this.faults = faults;
        this.stats = stats;
        namespace.removed = (address) => this.detachAll(address, "amqp:not-found",
            `The messaging entity '${address}' could not be found.`);
    }

    /** @returns the port */
    async listen(port, tls) {
        const container = rhea.create_container({ id: "emulator" });
        for (const mechanism of ["ANONYMOUS", "PLAIN", "EXTERNAL", "MSSBCBS"]) {
            container.sasl_server_mechanisms[mechanism] = open;
        }
        container.on("connection_open", (context) => this.#opened(context.connection));
        container.on("session_open", ({ session }) => tolerateReusedHandles(session));
        container.on("error", () => {}); // of a link or session whose owner has been told
        const server = container.listen({
            port, host: "127.0.0.1", tcp_no_delay: true, require_sasl: false, max_frame_size: 65_536,
            idle_time_out: 120_000, channel_max: 255,
            receiver_options: { autoaccept: false, credit_window: 0, max_message_size: 0 },
            sender_options: { autosettle: false, treat_modified_as_released: false },
            ...(tls ? { transport: "tls", key: tls.key, cert: tls.cert } : {}),
        });
        server.on(tls ? "secureConnection" : "connection", (socket) => this.#accepted(socket));
        await new Promise((resolve, reject) => server.once("listening", resolve).once("error", reject));
        return server.address().port;
    }

    #accepted(socket) {
        this.stats.connections++;
        this.#sockets.add(socket);
        socket.on("close", () => {
            this.#sockets.delete(socket);
            this.#silenced.delete(socket);
        });
        socket.on("error", () => {});
        if (this.faults.refuse) {
            socket.destroy();
        }
        if (this.faults.silent) {
            socket.removeAllListeners("data");
            socket.resume();
            this.#silenced.add(socket);
        }
    }

    #opened(connection) {
        const client = new Client(this, connection);
        this.#connections.add(client);
        const gone = () => {
            client.gone();
            this.#connections.delete(client);
        };
        connection.socket.once("close", gone); // rhea tells it only of those that the client closed
        connection.on("connection_close", () => setImmediate(gone));
        connection.on("disconnected", () => {});
        for (const error of ["connection_error", "session_error", "receiver_error", "sender_error", "protocol_error"]) {
            connection.on(error, () => {});
        }
    }

    // --- faults ---

    drop() {
        this.stats.drops++;
        for (const socket of this.#sockets) {
            socket.destroy();
        }
    }

    /** New connections get no answer at all; those that got none are dropped when that ends. */
    setSilent(on) {
        this.faults.silent = on;
        if (!on) {
            for (const socket of this.#silenced) {
                socket.destroy();
            }
        }
    }

    detachAll(entity, condition, description) {
        for (const client of this.#connections) {
            client.detachAll((address) => !entity || address === entity || address.startsWith(`${entity}/`), condition,
                description);
        }
    }

    closeAll(condition, deaf) {
        for (const client of this.#connections) {
            client.close(condition, deaf);
        }
    }

    endAll(condition, deaf) {
        for (const client of this.#connections) {
            client.endSessions(condition, deaf);
        }
    }

    expireTokens() {
        for (const client of this.#connections) {
            client.tokens.expireAll();
        }
    }

    openLinks() {
        return [...this.#connections].reduce((sum, client) => sum + client.links.size, 0);
    }
}

/** One client's connection. */
class Client {
    links = new Map(); // by rhea's link

    constructor(server, connection) {
        this.server = server;
        this.namespace = server.namespace;
        this.faults = server.faults;
        this.stats = server.stats;
        this.connection = connection;
        this.tokens = new Tokens(this.namespace, (address) => this.detachAll(
            (attached) => attached.toLowerCase() === address || attached.toLowerCase().startsWith(`${address}/`),
            "amqp:unauthorized-access", "ExpiredToken: The token has expired."));
        connection.on("receiver_open", ({ receiver }) => this.#guarded(receiver,
            () => this.#attach(receiver, receiver.target, (address) => this.#attachIncoming(receiver, address))));
        connection.on("sender_open", ({ sender }) => this.#guarded(sender,
            () => this.#attach(sender, sender.source, (address) => this.#attachOutgoing(sender, address))));
        connection.on("receiver_close", ({ receiver }) => this.#detached(receiver));
        connection.on("sender_close", ({ sender }) => this.#detached(sender));
        connection.on("message", (context) => this.links.get(context.receiver)?.received?.(context));
        connection.on("sender_flow", ({ sender }) => this.links.get(sender)?.flow?.());
        for (const outcome of ["accepted", "rejected", "released", "modified"]) {
            connection.on(outcome, ({ sender, delivery }) => this.links.get(sender)?.asked?.(delivery, outcome));
        }
        this.#watchIdle();
    }

    /** A failure of ours ends the link, and tells; it does not end the emulator. */
    #guarded(link, action) {
        try {
            action();
        } catch (error) {
            if (!(error instanceof BrokerError)) {
                process.stderr.write(`${error.stack}\n`);
            }
            refuse(link, error.condition ?? "amqp:internal-error", error.message);
        }
    }

    #attach(link, terminus, action) {
        this.stats.attaches++;
        const address = plainAddress(terminus?.address);
        if (address === cbsNode || !this.faults.links.strikesAttach(this, link, address)) {
            action(address);
        }
    }

    #attachIncoming(receiver, address) {
        if (address === cbsNode) {
            return this.#add(receiver, address, new RequestNode(this, receiver, (request) => this.#putToken(request)));
        }
        const managed = managedEntity(address);
        if (managed !== undefined) {
            this.#require(address, "Listen", "Send");
            const queue = this.#find(this.namespace.source(managed) ?? this.namespace.target(managed), managed);
            return this.#add(receiver, address,
                new RequestNode(this, receiver, (request) => manage(queue, request, this,
                    (right) => this.tokens.problem(address, right))));
        }
        this.#require(address, "Send");
        const target = this.#find(this.namespace.target(address), address);
        return this.#add(receiver, address, new IncomingLink(this, receiver, target));
    }

    #attachOutgoing(sender, address) {
        if (address === cbsNode || managedEntity(address) !== undefined) {
            return this.#add(sender, address, new ReplyLink(sender));
        }
        this.#require(address, "Listen");
        const queue = this.#find(this.namespace.source(address), address);
        return this.#add(sender, address, new OutgoingLink(this, sender, queue));
    }

    #require(address, ...rights) {
        const problems = rights.map((right) => this.tokens.problem(address, right));
        if (problems.every((problem) => problem !== undefined)) {
            throw new BrokerError("amqp:unauthorized-access", problems[0]);
        }
        if (this.faults.takeBusy()) {
            throw new BrokerError("com.microsoft:server-busy", "The server is busy. Please wait 2 seconds and try again.");
        }
    }

    #find(entity, address) {
        if (!entity) {
            throw new BrokerError("amqp:not-found", `The messaging entity '${address}' could not be found.`);
        }
        return entity;
    }

    #add(link, address, handler) {
        handler.address = address;
        handler.lastUsed = this.namespace.clock.now();
        this.links.set(link, handler);
    }

    /** rhea tells what was settled just before only after this. */
    #detached(link) {
        const handler = this.links.get(link);
        if (handler) {
            handler.isClosed = true;
            setImmediate(() => {
                handler.closed?.();
                this.links.delete(link);
                this.lastLink = this.namespace.clock.now();
            });
        }
    }

    #putToken(request) {
        const { application_properties: properties = {} } = request;
        const answer = { correlation_id: request.message_id, application_properties: {} };
        try {
            if (properties.operation !== "put-token") {
                throw new TokenRefused(400, `The operation '${properties.operation}' is not supported.`);
            }
            this.tokens.put(properties.type, String(request.body), properties.name);
            this.stats.tokensPut++;
            this.stats.entraTokensPut += properties.type === "jwt" ? 1 : 0;
            answer.application_properties["status-code"] = types.wrap_int(202);
            answer.application_properties["status-description"] = "Accepted";
        } catch (error) {
            answer.application_properties["status-code"] = types.wrap_int(error instanceof TokenRefused ? error.status : 500);
            answer.application_properties["status-description"] = error.message;
        }
        return answer;
    }

    /** Where answers for `address` go: to the link attached for it, or to the link of that name (Microsoft's SDK). */
    replyLink(address) {
        for (const [link, handler] of this.links) {
            if (handler instanceof ReplyLink && (link.target?.address ?? link.name) === address) {
                return handler;
            }
        }
        return undefined;
    }

    detachAll(matches, condition = "amqp:link:detach-forced", description = "The link was detached by the broker.") {
        for (const [link, handler] of [...this.links]) {
            if (handler.address !== cbsNode && matches(handler.address)) {
                this.end(link, condition, description);
            }
        }
    }

    /** Detaches a link from our side. */
    end(link, condition, description) {
        this.links.get(link)?.closed?.();
        this.links.delete(link);
        link.close({ condition, description });
    }

    /** @param deaf  whatever the client says after that is not heard; the socket stays */
    close(condition = "amqp:connection:forced", deaf = false) {
        this.gone();
        this.connection.close({ condition, description: "The connection was closed by the broker." });
        if (deaf) {
            this.connection.socket.pause();
        }
    }

    endSessions(condition = "amqp:internal-error", deaf = false) {
        const sessions = new Set([...this.links.keys()].map((link) => link.session));
        this.gone();
        for (const session of sessions) {
            session.close({ condition, description: "The session was ended by the broker." });
        }
        if (deaf) {
            this.connection.socket.pause();
        }
    }

    gone() {
        this.namespace.clock.cancel(this.idleTimer);
        for (const handler of this.links.values()) {
            handler.closed?.(true);
        }
        this.links.clear();
    }

    #watchIdle() {
        const { clock } = this.namespace;
        this.lastLink = clock.now();
        const look = () => {
            for (const [link, handler] of [...this.links]) {
                if (handler.address !== cbsNode && clock.now() - handler.lastUsed >= idleLinkMs && !handler.isBusy?.()) {
                    this.end(link, "amqp:link:detach-forced", "The link was idle for 10 minutes.");
                }
            }
            if (this.links.size === 0 && clock.now() - this.lastLink >= idleConnectionMs) {
                this.close();
            } else {
                this.idleTimer = clock.at(clock.now() + 60_000, look);
            }
        };
        this.idleTimer = clock.at(clock.now() + 60_000, look);
    }
}

/** Refuses a link as AMQP has it: an attach that names no node, and a detach that says why. */
export function refuse(link, condition, description) {
    link.local.attach.source = undefined;
    link.local.attach.target = undefined;
    link.close({ condition, description });
}

/** A node that answers each request with a message to the client's reply address. */
class RequestNode {
    constructor(client, receiver, answer) {
        this.client = client;
        this.answer = answer;
        const { address } = receiver.target;
        receiver.set_target({ address });
        if (plainAddress(address) === cbsNode || !client.faults.links.withholdsCredit(plainAddress(address))) {
            receiver.add_credit(500);
        }
    }

    received({ message, delivery, receiver }) {
        delivery.accept();
        receiver.add_credit(1);
        this.lastUsed = this.client.namespace.clock.now();
        const reply = this.answer(message);
        const send = () => {
            const link = this.client.replyLink(message.reply_to);
            const oversized = this.client.faults.takeOversized();
            link?.send({ ...reply, to: message.reply_to, ...(oversized && { body: oversized }) });
        };
        if (this.client.faults.slowMs) {
            setTimeout(send, this.client.faults.slowMs);
        } else {
            send();
        }
    }
}
