// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

/** A heap of what has an order; the least comes first. */
export class Heap {
    #items = [];
    #isBefore;

    constructor(isBefore) {
        this.#isBefore = isBefore;
    }

    get size() {
        return this.#items.length;
    }

    peek() {
        return this.#items[0];
    }

    push(item) {
        const items = this.#items;
        let at = items.push(item) - 1;
        while (at > 0) {
            const parent = (at - 1) >> 1;
            if (!this.#isBefore(items[at], items[parent])) {
                break;
            }
            [items[at], items[parent]] = [items[parent], items[at]];
            at = parent;
        }
    }

    pop() {
        const items = this.#items;
        const first = items[0];
        const last = items.pop();
        if (items.length > 0) {
            items[0] = last;
            this.#sink(0);
        }
        return first;
    }

    #sink(start) {
        const items = this.#items;
        for (let at = start; ;) {
            let least = at;
            for (const child of [2 * at + 1, 2 * at + 2]) {
                if (child < items.length && this.#isBefore(items[child], items[least])) {
                    least = child;
                }
            }
            if (least === at) {
                return;
            }
            [items[at], items[least]] = [items[least], items[at]];
            at = least;
        }
    }
}

/** The real time, moved on by what tests add; and what is to happen when. */
export class Clock {
    #offset = 0;
    #timers = new Heap((left, right) => left.time < right.time || (left.time === right.time && left.id < right.id));
    #nextId = 0;
    #alarm;

    /** How far this clock is ahead of the real time, in milliseconds. */
    get offset() {
        return this.#offset;
    }

    /** Milliseconds since 1970. */
    now() {
        return Date.now() + this.#offset;
    }

    /** Calls `action` at `time`, or soon after. @returns what `cancel` takes */
    at(time, action) {
        const timer = { time, action, id: this.#nextId++ };
        this.#timers.push(timer);
        this.#setAlarm();
        return timer;
    }

    cancel(timer) {
        if (timer) {
            timer.action = undefined;
        }
    }

    /** Moves the time on; what became due has happened, in order, when this returns. */
    advance(ms) {
        this.#offset += ms;
        this.#fire();
    }

    #fire() {
        while (this.#timers.size > 0) {
            const first = this.#timers.peek();
            if (first.action && first.time > this.now()) {
                break;
            }
            this.#timers.pop();
            first.action?.();
        }
        this.#setAlarm();
    }

    #setAlarm() {
        clearTimeout(this.#alarm);
        const first = this.#timers.peek();
        if (first) {
            const wait = Math.min(Math.max(first.time - this.now(), 0), 2_000_000_000);
            this.#alarm = setTimeout(() => this.#fire(), wait);
            this.#alarm.unref();
        }
    }
}
