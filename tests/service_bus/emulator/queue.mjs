// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

// What a queue does, free of AMQP: order, locks, sessions, duplicates, times, dead letters.

import { randomUUID } from "node:crypto";

import { Heap } from "./clock.mjs";

const defaults = {
    lockDurationMs: 60_000,
    maxDeliveryCount: 10,
    requiresSession: false,
    duplicateDetectionWindowMs: 0,
    maxMessageSize: 262_144,
    defaultTtlMs: null,
    deadLetterOnExpiration: true,
};

/** The broker's error: a condition's name and a sentence. */
export class BrokerError extends Error {
    constructor(condition, description) {
        super(description);
        this.condition = condition;
    }
}

/** Messages that can be received from one place, in order: those of a session, or those of a queue without sessions. */
class Lane {
    constructor(id) {
        this.id = id;
        this.available = new Heap((left, right) => left.sequenceNumber < right.sequenceNumber);
        this.consumers = [];
        this.nextConsumer = 0;
        this.state = null;
        this.holder = undefined; // of a session: { consumer, lockedUntil, timer }
        this.lastHeld = 0;
        this.offer = undefined; // of a session: its place among those that wait for a holder
    }
}

/**
 * A queue, a subscription, or a dead-letter queue.
 *
 * A consumer is `{credit, deliver(entry, token), lost(condition)}`; `credit` says for how many more messages it is ready.
 */
export class Queue {
    #clock;
    #nextSequenceNumber = 1;
    #lanes = new Map();
    #locked = new Map(); // entries by lock token
    #scheduled = new Map(); // entries by sequence number
    #deferred = new Map();
    #stored = new Map(); // every entry by sequence number, in order
    #seen = new Map(); // message ids, oldest first, with their time
    #waiting = []; // acceptors of the next session
    // Offers of sessions that are free and have a message, the longest unheld first. An offer that its lane has replaced
    // is passed over.
    #offers = new Heap((left, right) => left.lastHeld < right.lastHeld ||
        (left.lastHeld === right.lastHeld && left.sequenceNumber < right.sequenceNumber));
    #heldCounter = 0;
    #active = 0;

    constructor(settings, clock, { isDeadLetterQueue = false } = {}) {
        this.settings = { ...defaults };
        this.#clock = clock;
        this.isDeadLetterQueue = isDeadLetterQueue;
        this.stats = { duplicates: 0 };
        if (!isDeadLetterQueue) {
            this.deadLetters = new Queue({ maxDeliveryCount: Infinity }, clock, { isDeadLetterQueue: true });
        }
        this.configure(settings);
    }

    /** Changes settings; what is stored and locked already keeps the times it has. */
    configure(settings) {
        Object.assign(this.settings, settings);
        const { lockDurationMs, maxMessageSize } = this.settings;
        this.deadLetters?.configure({ lockDurationMs, maxMessageSize });
    }

    get hasSessions() {
        return this.settings.requiresSession && !this.isDeadLetterQueue;
    }

    counts() {
        return {
            active: this.#active, locked: this.#locked.size, scheduled: this.#scheduled.size,
            deferred: this.#deferred.size, deadLettered: this.deadLetters ? this.deadLetters.#stored.size : 0,
            sessions: [...this.#lanes.values()].filter((lane) => lane.available.size > 0 || lane.holder).length,
        };
    }

    /** Every message in order, for tests and for peeking. */
    * entries() {
        yield* this.#stored.values();
    }

    // --- coming in ---

    /** Takes a message, unless it is a duplicate. @returns its entry, or undefined for a duplicate */
    enqueue(message) {
        if (this.hasSessions && !message.sessionId) {
            throw new BrokerError("amqp:not-allowed", "The entity requires sessions; the message has no session id.");
        }
        if (this.#isDuplicate(message.messageId)) {
            this.stats.duplicates++;
            return undefined;
        }
        const now = this.#clock.now();
        const entry = { ...message, sequenceNumber: this.#nextSequenceNumber++, enqueuedAt: now, deliveries: 0, lock: undefined };
        if (message.scheduledAt > now) {
            entry.state = "scheduled";
            this.#scheduled.set(entry.sequenceNumber, entry);
            this.#stored.set(entry.sequenceNumber, entry);
            entry.timer = this.#clock.at(message.scheduledAt, () => this.#enqueueScheduled(entry));
        } else {
            this.#store(entry);
        }
        return entry;
    }

    #isDuplicate(messageId) {
        const window = this.settings.duplicateDetectionWindowMs;
        if (!window || messageId === undefined) {
            return false;
        }
        const now = this.#clock.now();
        for (const [id, time] of this.#seen) {
            if (time + window > now) {
                break;
            }
            this.#seen.delete(id);
        }
        if (this.#seen.has(messageId)) {
            return true;
        }
        this.#seen.set(messageId, now);
        return false;
    }

    #enqueueScheduled(entry) {
        this.#scheduled.delete(entry.sequenceNumber);
        this.#stored.delete(entry.sequenceNumber);
        entry.scheduledSequenceNumber = entry.sequenceNumber;
        entry.sequenceNumber = this.#nextSequenceNumber++; // its place is where it is when it is due
        entry.enqueuedAt = this.#clock.now();
        this.#store(entry);
    }

    /** @returns false if there is no such scheduled message */
    cancelScheduled(sequenceNumber) {
        const entry = this.#scheduled.get(sequenceNumber);
        if (!entry) {
            return false;
        }
        this.#clock.cancel(entry.timer);
        this.#scheduled.delete(sequenceNumber);
        this.#stored.delete(sequenceNumber);
        return true;
    }

    #store(entry) {
        const ttl = this.isDeadLetterQueue ? Infinity
            : Math.min(entry.ttl ?? Infinity, this.settings.defaultTtlMs ?? Infinity);
        if (ttl < Infinity) {
            entry.expiry = this.#clock.at(entry.enqueuedAt + ttl, () => this.#expire(entry));
        }
        this.#stored.set(entry.sequenceNumber, entry);
        this.#makeAvailable(entry);
    }

    #expire(entry) {
        if (entry.state !== "active") {
            return;
        }
        this.#active--;
        if (this.settings.deadLetterOnExpiration) {
            this.#putAside(entry, "TTLExpiredException", "The message expired and was dead lettered.");
        } else {
            this.#remove(entry);
            entry.state = "removed";
        }
    }

    #laneOf(entry) {
        const id = this.hasSessions ? entry.sessionId : "";
        let lane = this.#lanes.get(id);
        if (!lane) {
            lane = new Lane(id);
            this.#lanes.set(id, lane);
        }
        return lane;
    }

    #makeAvailable(entry) {
        entry.state = "active";
        entry.lock = undefined;
        this.#active++;
        const lane = this.#laneOf(entry);
        lane.available.push(entry);
        this.#pump(lane);
        this.#offer(lane);
        this.#serveWaiting();
    }

    // --- going out ---

    addConsumer(consumer) {
        const lane = this.#laneOf({ sessionId: "" });
        lane.consumers.push(consumer);
        this.pump(consumer);
    }

    removeConsumer(consumer) {
        for (const lane of this.#lanes.values()) {
            const at = lane.consumers.indexOf(consumer);
            if (at >= 0) {
                lane.consumers.splice(at, 1);
            }
        }
    }

    /** The consumer's credit has changed. */
    pump(consumer) {
        if (consumer.lane) {
            this.#pump(consumer.lane);
        } else {
            this.#pump(this.#laneOf({ sessionId: "" }));
        }
    }

    #firstAvailable(lane) {
        while (lane.available.size > 0 && lane.available.peek().state !== "active") {
            lane.available.pop(); // expired, or deferred, meanwhile
        }
        return lane.available.peek();
    }

    #pump(lane) {
        if (this.hasSessions) {
            const consumer = lane.holder?.consumer;
            while (consumer && consumer.credit > 0 && this.#firstAvailable(lane)) {
                this.#deliver(lane.available.pop(), consumer, lane);
            }
            return;
        }
        let idle = 0;
        while (idle < lane.consumers.length && this.#firstAvailable(lane)) {
            const consumer = lane.consumers[lane.nextConsumer++ % lane.consumers.length];
            if (consumer.credit > 0) {
                idle = 0;
                this.#deliver(lane.available.pop(), consumer, lane);
            } else {
                idle++;
            }
        }
    }

    #deliver(entry, consumer, lane) {
        this.#active--;
        if (consumer.deletes) {
            this.#remove(entry);
            consumer.deliver(entry, randomUUID());
            return;
        }
        const token = randomUUID();
        const lockedUntil = lane.holder ? lane.holder.lockedUntil : this.#clock.now() + this.settings.lockDurationMs;
        entry.state = "locked";
        entry.lock = { token, consumer, lockedUntil, lane };
        if (!lane.holder) {
            entry.lock.timer = this.#clock.at(lockedUntil, () => this.#lockExpired(entry));
        }
        this.#locked.set(token, entry);
        consumer.deliver(entry, token);
    }

    #lockExpired(entry) {
        if (entry.lock) {
            this.#endDelivery(entry, true);
        }
    }

    // --- settling ---

    #unlock(entry) {
        this.#clock.cancel(entry.lock.timer);
        this.#locked.delete(entry.lock.token);
        entry.lock = undefined;
    }

    /** A delivery has ended without being settled. */
    #endDelivery(entry, isCounted) {
        const wasDeferred = entry.wasDeferred;
        this.#unlock(entry);
        if (isCounted) {
            entry.deliveries++;
        }
        if (entry.deliveries >= this.settings.maxDeliveryCount) {
            this.#putAside(entry, "MaxDeliveryCountExceeded",
                `Message could not be consumed after ${entry.deliveries} delivery attempts.`);
        } else if (wasDeferred) {
            this.#deferEntry(entry);
        } else {
            this.#makeAvailable(entry);
        }
    }

    #lockedEntry(token) {
        const entry = this.#locked.get(token);
        if (!entry) {
            throw new BrokerError("com.microsoft:message-lock-lost",
                "The lock supplied is invalid. Either the lock expired, or the message has already been removed.");
        }
        return entry;
    }

    complete(token) {
        const entry = this.#lockedEntry(token);
        this.#unlock(entry);
        this.#remove(entry);
    }

    /** @param change  what is done to the message's properties */
    abandon(token, change) {
        const entry = this.#lockedEntry(token);
        change?.(entry);
        this.#endDelivery(entry, true);
    }

    /** Gives it back as if it had not been delivered. */
    release(token) {
        this.#endDelivery(this.#lockedEntry(token), false);
    }

    deadLetter(token, reason, description, change) {
        const entry = this.#lockedEntry(token);
        this.#unlock(entry);
        entry.deliveries++;
        change?.(entry);
        this.#putAside(entry, reason, description);
    }

    defer(token, change) {
        const entry = this.#lockedEntry(token);
        this.#unlock(entry);
        change?.(entry);
        this.#deferEntry(entry);
    }

    #deferEntry(entry) {
        entry.state = "deferred";
        entry.wasDeferred = true;
        this.#deferred.set(entry.sequenceNumber, entry);
    }

    /** Locks deferred messages. @returns [entry, token] of each */
    receiveDeferred(sequenceNumbers, sessionId) {
        return sequenceNumbers.map((number) => {
            const entry = this.#deferred.get(number);
            if (!entry || (sessionId !== undefined && entry.sessionId !== sessionId)) {
                throw new BrokerError("com.microsoft:message-not-found", `There is no deferred message ${number}.`);
            }
            this.#deferred.delete(number);
            const token = randomUUID();
            const lockedUntil = this.#clock.now() + this.settings.lockDurationMs;
            entry.state = "locked";
            entry.lock = { token, lockedUntil, timer: this.#clock.at(lockedUntil, () => this.#lockExpired(entry)) };
            this.#locked.set(token, entry);
            return [entry, token];
        });
    }

    #remove(entry) {
        this.#clock.cancel(entry.expiry);
        this.#stored.delete(entry.sequenceNumber);
    }

    #putAside(entry, reason, description) {
        this.#remove(entry);
        if (!this.deadLetters) { // a dead letter is never dead-lettered again
            entry.state = "removed";
            return;
        }
        const dead = { ...entry, state: "active", lock: undefined, expiry: undefined, wasDeferred: false };
        dead.deadLetter = { reason, description };
        entry.state = "removed";
        this.deadLetters.#store(dead);
    }

    renewMessage(token) {
        const entry = this.#lockedEntry(token);
        this.#clock.cancel(entry.lock.timer);
        entry.lock.lockedUntil = this.#clock.now() + this.settings.lockDurationMs;
        entry.lock.timer = this.#clock.at(entry.lock.lockedUntil, () => this.#lockExpired(entry));
        return entry.lock.lockedUntil;
    }

    // --- sessions ---

    /**
     * Locks a session for a consumer, as soon as there is one.
     *
     * @param sessionId  undefined: the next that is free and has a message
     * @param waiter  {consumer, accepted(lane), refused(error)}
     */
    acceptSession(sessionId, waiter) {
        if (sessionId !== undefined) {
            const lane = this.#laneOf({ sessionId });
            if (lane.holder) {
                waiter.refused(new BrokerError("com.microsoft:session-cannot-be-locked",
                    `The requested session '${sessionId}' cannot be accepted. It may be locked by another receiver.`));
            } else {
                this.#hold(lane, waiter);
            }
            return;
        }
        this.#waiting.push(waiter);
        this.#serveWaiting();
    }

    cancelAccept(waiter) {
        const at = this.#waiting.indexOf(waiter);
        if (at >= 0) {
            this.#waiting.splice(at, 1);
        }
        return at >= 0;
    }

    #serveWaiting() {
        while (this.#waiting.length > 0) {
            const next = this.#nextOffered();
            if (!next) {
                return;
            }
            this.#hold(next, this.#waiting.shift());
        }
    }

    #offer(lane) {
        const first = this.hasSessions && !lane.holder ? this.#firstAvailable(lane) : undefined;
        if (first && lane.offer?.sequenceNumber !== first.sequenceNumber) {
            lane.offer = { lane, lastHeld: lane.lastHeld, sequenceNumber: first.sequenceNumber };
            this.#offers.push(lane.offer);
        }
    }

    #nextOffered() {
        while (this.#offers.size > 0) {
            const offer = this.#offers.pop();
            const { lane } = offer;
            if (lane.offer !== offer) {
                continue;
            }
            lane.offer = undefined;
            if (this.#firstAvailable(lane)?.sequenceNumber === offer.sequenceNumber) {
                return lane;
            }
            this.#offer(lane); // its first message has gone meanwhile
        }
        return undefined;
    }

    #hold(lane, waiter) {
        lane.lastHeld = ++this.#heldCounter;
        lane.offer = undefined;
        lane.holder = { consumer: waiter.consumer };
        waiter.consumer.lane = lane;
        this.#lockSession(lane);
        waiter.accepted(lane);
    }

    #lockSession(lane) {
        this.#clock.cancel(lane.holder.timer);
        lane.holder.lockedUntil = this.#clock.now() + this.settings.lockDurationMs;
        lane.holder.timer = this.#clock.at(lane.holder.lockedUntil, () => this.#sessionExpired(lane));
    }

    #sessionExpired(lane) {
        const { consumer } = lane.holder;
        this.#freeSession(lane, true);
        consumer.lost(new BrokerError("com.microsoft:session-lock-lost", "The session lock has expired."));
    }

    /** The holder has gone: the session is free again, nothing of it is counted. */
    closeSession(consumer) {
        if (consumer.lane?.holder?.consumer === consumer) {
            this.#freeSession(consumer.lane, false);
        }
    }

    #freeSession(lane, isCounted) {
        this.#clock.cancel(lane.holder.timer);
        const { consumer } = lane.holder;
        lane.holder = undefined;
        consumer.lane = undefined;
        for (const entry of [...this.#locked.values()]) {
            if (entry.lock.consumer === consumer) {
                this.#endDelivery(entry, isCounted);
            }
        }
        if (lane.available.size === 0 && lane.state === null) {
            this.#lanes.delete(lane.id);
        }
        this.#offer(lane);
        this.#serveWaiting();
    }

    #heldLane(sessionId) {
        const lane = this.#lanes.get(sessionId);
        if (!lane?.holder) {
            throw new BrokerError("com.microsoft:session-lock-lost", "The session lock was lost. Request a new session.");
        }
        return lane;
    }

    renewSession(sessionId) {
        const lane = this.#heldLane(sessionId);
        this.#lockSession(lane);
        return lane.holder.lockedUntil;
    }

    sessionState(sessionId) {
        return this.#heldLane(sessionId).state;
    }

    setSessionState(sessionId, state) {
        this.#heldLane(sessionId).state = state;
    }
}
