// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

// Links that messages go over, in and out.

import rhea from "rhea";
import frames from "rhea/lib/frames.js";

import { changeProperties, encodeEntry, readTransfer, tagOf } from "./message_codec.mjs";
import { refuse } from "./amqp_server.mjs";
import { sessionFilter } from "./link_faults.mjs";
import { plainAddress } from "./namespace.mjs";
import { BrokerError } from "./queue.mjs";

const { message: codec, types } = rhea;
const credit = 1000;
const dotnetEpochMs = 62_135_596_800_000;

/** A .NET DateTime, as the bytes of a long: more than a number can tell to the unit. */
function dotnetTicks(ms) {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64BE(BigInt(ms + dotnetEpochMs) * 10_000n);
    return bytes;
}

/** rhea keeps a delivery, and all behind it, until both sides have settled it; here neither will any more. */
function forget(delivery) {
    Object.assign(delivery, { settled: true, remote_settled: true });
}

/**
 * Settles a delivery with a state, in its own frame: rhea would put two neighbours into one frame whatever their states.
 */
function settle(delivery, state) {
    const { session, connection } = delivery.link;
    forget(delivery);
    if (delivery.link.is_closed() || !connection.is_open()) {
        return; // no peer is left
    }
    delivery.state = state;
    session.output(frames.disposition({
        role: delivery.link.is_receiver(), first: delivery.id, last: delivery.id, settled: true, state,
    }));
    connection._register();
}

function rejection(condition, description) {
    return codec.rejected({ error: { condition, description } }).described();
}

/** A client sends: each message is stored, then accepted. */
export class IncomingLink {
    constructor(client, receiver, target) {
        this.client = client;
        this.receiver = receiver;
        this.target = target;
        receiver.local.attach.max_message_size = target.settings?.maxMessageSize ?? 262_144;
        receiver.set_target({ address: receiver.target.address });
        if (!client.faults.links.withholdsCredit(plainAddress(receiver.target.address))) {
            receiver.add_credit(credit);
        }
    }

    received({ message, delivery, format }) {
        const { faults, stats, namespace } = this.client;
        this.lastUsed = namespace.clock.now();
        stats.transfersIn++;
        this.receiver.add_credit(1);
        if (faults.strikes(this.client, this.receiver)) {
            forget(delivery);
            return;
        }
        if (faults.takeProgress()) {
            const { session, connection } = this.receiver;
            session.output(frames.disposition({ role: true, first: delivery.id, last: delivery.id, settled: false,
                state: codec.received({ section_number: 0, section_offset: 0 }).described() }));
            connection._register();
        }
        if (faults.takeBusy()) {
            settle(delivery, rejection("com.microsoft:server-busy",
                "The server is busy. Please wait 2 seconds and try again."));
            return;
        }
        try {
            const limit = this.target.settings?.maxMessageSize ?? Infinity;
            const messages = readTransfer(message, format);
            if (messages.some((each) => each.size > limit)) {
                throw new BrokerError("amqp:link:message-size-exceeded", `The message is larger than ${limit} bytes.`);
            }
            for (const each of messages) {
                if (!this.target.enqueue(each)) {
                    stats.duplicatesDropped++;
                }
            }
        } catch (error) {
            settle(delivery, rejection(error.condition ?? "amqp:decode-error", error.message));
            return;
        }
        if (faults.takeLostOutcome()) {
            stats.drops++;
            this.client.connection.socket.destroy();
            return;
        }
        faults.later(() => settle(delivery, codec.accepted().described()));
    }
}

/** Answers to requests. */
export class ReplyLink {
    constructor(sender) {
        this.sender = sender;
        sender.set_source({ address: sender.source.address });
    }

    send(message) {
        if (this.sender.is_open()) {
            this.sender.send(message).settled = true;
        }
    }

    asked() {} // answers are settled when they are sent
}

/** A client receives: from a queue, or from one session of it. */
export class OutgoingLink {
    #deliveries = new Map(); // rhea's delivery by lock token

    constructor(client, sender, queue) {
        this.client = client;
        this.sender = sender;
        this.queue = queue;
        this.deletes = sender.snd_settle_mode === 1;
        sender.local.attach.snd_settle_mode = sender.snd_settle_mode;
        sender.local.attach.rcv_settle_mode = sender.rcv_settle_mode;
        const filter = sender.source.filter ?? {};
        const wantsSession = sessionFilter in filter;
        if (wantsSession !== queue.hasSessions) {
            throw new BrokerError("amqp:not-allowed", queue.hasSessions
                ? "It is not possible for an entity that requires sessions to create a non-sessionful message receiver."
                : "A sessionful message receiver cannot be created on an entity that does not require sessions.");
        }
        if (wantsSession) {
            this.#accept(filter[sessionFilter]);
        } else {
            sender.set_source({ address: sender.source.address });
            this.isReady = true;
            queue.addConsumer(this);
        }
    }

    #accept(filter) {
        const wanted = filter && typeof filter === "object" && "value" in filter ? filter.value : filter;
        const { sender } = this;
        // The attach is answered when there is a session.
        sender.state.local_open = false;
        sender.state.open_requests--;
        this.waiter = {
            consumer: this,
            accepted: (lane) => {
                clearTimeout(this.attachTimer);
                this.waiter = undefined;
                sender.local.attach.source = undefined;
                sender.set_source({ address: sender.source.address, filter: this.client.faults.links.filterOf(
                    plainAddress(sender.source.address), lane.id) });
                sender.local.attach.properties = { "com.microsoft:locked-until-utc":
                    types.wrap_long(dotnetTicks(lane.holder.lockedUntil)) };
                sender.open();
                this.isReady = true;
                setImmediate(() => this.queue.pump(this));
            },
            refused: (error) => this.#refuse(error),
        };
        const ms = Number(sender.properties?.["com.microsoft:timeout"] ?? 60_000);
        this.attachTimer = setTimeout(() => {
            if (this.waiter && this.queue.cancelAccept(this.waiter)) {
                this.#refuse(new BrokerError("com.microsoft:timeout",
                    "The operation did not complete within the allotted timeout: no session is available."));
            }
        }, ms);
        this.queue.acceptSession(wanted === null || wanted === undefined ? undefined : String(wanted), this.waiter);
    }

    #refuse(error) {
        clearTimeout(this.attachTimer);
        this.waiter = undefined;
        this.client.links.delete(this.sender);
        this.sender.open(); // what is refused must have been answered
        refuse(this.sender, error.condition, error.message);
    }

    // --- as the queue's consumer ---

    get credit() {
        return this.isReady && !this.isClosed && this.sender.session.outgoing.available() > 0
            ? this.sender.credit - (this.unsent ?? 0) : 0;
    }

    deliver(entry, token) {
        this.client.stats.transfersOut++;
        this.lastUsed = this.client.namespace.clock.now();
        const bytes = this.client.faults.takeOversized() ?? encodeEntry(entry, { lockedUntil: entry.lock?.lockedUntil });
        if (this.client.faults.takeAbort()) {
            this.#abort(bytes, token);
            return;
        }
        this.unsent = (this.unsent ?? 0) + 1;
        this.#schedule();
        const delivery = this.sender.send(bytes, tagOf(token), 0);
        const isSettled = this.client.faults.takeSettled();
        if (this.deletes || isSettled) {
            delivery.settled = true;
            if (isSettled) {
                this.queue.complete(token);
            }
            return;
        }
        delivery.token = token;
        this.#deliveries.set(token, delivery);
    }

    /** Begins a delivery and takes it back, and the message with it. Only while nothing else is about to be written. */
    #abort(bytes, token) {
        const { session, connection, local } = this.sender;
        const delivery = session.outgoing.send(this.sender, tagOf(token), bytes, 0);
        forget(delivery);
        session.outgoing.next_pending_delivery = session.outgoing.next_delivery_id;
        const transfer = { handle: local.handle, delivery_id: delivery.id, delivery_tag: delivery.tag,
            message_format: 0, settled: false };
        session.output(frames.transfer({ ...transfer, more: true }), bytes.subarray(0, 5));
        session.output(frames.transfer({ ...transfer, more: false, aborted: true }), Buffer.alloc(0));
        session.outgoing.next_transfer_id += 2;
        this.sender.delivery_count++;
        this.sender.credit--;
        connection._register();
        setImmediate(() => this.queue.release(token));
    }

    /** rhea counts credit down when it writes; until then it is counted here. */
    #schedule() {
        if (!this.isCounting) {
            this.isCounting = true;
            process.nextTick(() => setImmediate(() => {
                this.isCounting = false;
                this.unsent = 0;
                if (!this.isClosed) {
                    this.queue.pump(this);
                    this.#drain();
                }
            }));
        }
    }

    lost(error) {
        this.client.end(this.sender, error.condition, error.message);
    }

    // --- as the client's peer ---

    flow() {
        this.lastUsed = this.client.namespace.clock.now();
        this.wantsDrain = this.sender._draining;
        setImmediate(() => {
            if (!this.isClosed && this.isReady) {
                this.queue.pump(this);
                this.#drain();
            }
        });
    }

    /** What was asked for and is not there is taken back. */
    #drain() {
        if (this.wantsDrain && !this.isCounting) {
            this.wantsDrain = false;
            this.client.faults.links.answerDrain(() => this.#answerDrain());
        }
    }

    /** An answer that comes late comes whether or not the client still wants it, and takes all credit there is. */
    #answerDrain() {
        if (!this.isClosed && this.sender.is_open()) {
            this.sender._draining = true;
            this.sender.set_drained(true);
            this.client.connection._register();
        }
    }

    asked(delivery, outcome) {
        const { faults, stats } = this.client;
        this.lastUsed = this.client.namespace.clock.now();
        const { token, remote_state: state } = delivery;
        if (token === undefined || !this.#deliveries.has(token) || faults.strikes(this.client, this.sender)) {
            return;
        }
        this.#deliveries.delete(token);
        let answer = state;
        try {
            this.#settle(token, outcome, state);
        } catch (error) {
            if (!(error instanceof BrokerError)) {
                throw error;
            }
            answer = rejection(error.condition, error.message);
        }
        if (outcome === "released") {
            stats.released++;
        }
        const described = answer === state ? this.#described(outcome, state) : answer;
        faults.later(() => settle(delivery, described));
    }

    #described(outcome, state) {
        switch (outcome) {
            case "accepted": return codec.accepted().described();
            case "released": return codec.released().described();
            case "modified": return codec.modified({ delivery_failed: state.delivery_failed,
                undeliverable_here: state.undeliverable_here }).described();
            default: return codec.rejected({}).described(); // an error would say that it failed
        }
    }

    #settle(token, outcome, state) {
        switch (outcome) {
            case "accepted": return this.queue.complete(token);
            case "released": return this.queue.release(token);
            case "modified": {
                const change = (entry) => changeProperties(entry, state.message_annotations);
                return state.undeliverable_here ? this.queue.defer(token, change) : this.queue.abandon(token, change);
            }
            default: {
                const { DeadLetterReason: reason, DeadLetterErrorDescription: description, ...added } = state.error?.info ?? {};
                return this.queue.deadLetter(token, reason, description, (entry) => changeProperties(entry, added));
            }
        }
    }

    isBusy() {
        return this.waiter !== undefined;
    }

    /** The link is gone, from whichever side. */
    closed() {
        this.isClosed = true;
        clearTimeout(this.attachTimer);
        if (this.waiter) {
            this.queue.cancelAccept(this.waiter);
        }
        this.queue.closeSession(this);
        this.queue.removeConsumer(this);
        setImmediate(() => this.#deliveries.forEach(forget));
    }
}
