// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

import { LinkFaults } from "./link_faults.mjs";

/** What is to go wrong, as tests ask for it. */
export class Faults {
    links = new LinkFaults();
    slowMs = 0;
    aborts = 0;
    progresses = 0;
    settled = 0;
    oversized = 0;
    silent = false;
    refuse = false;
    #busy = 0;
    #lostOutcomes = 0;
    #random = { dropProbability: 0, detachProbability: 0 };
    #seed = 1;

    /** Nothing goes wrong any more. */
    clear() {
        Object.assign(this, { slowMs: 0, aborts: 0, progresses: 0, settled: 0, oversized: 0, silent: false, refuse: false });
        this.setBusy(0);
        this.setLostOutcomes(0);
        this.setRandom({});
        this.links.clear();
    }

    setBusy(count) {
        this.#busy = count;
    }

    setLostOutcomes(count) {
        this.#lostOutcomes = count;
    }

    setRandom({ dropProbability = 0, detachProbability = 0, seed = 1 }) {
        this.#random = { dropProbability, detachProbability };
        this.#seed = seed;
    }

    takeBusy() {
        return this.#busy > 0 && this.#busy-- > 0;
    }

    takeAbort() {
        return this.aborts > 0 && this.aborts-- > 0;
    }

    /** @returns whether a transfer is first answered by how much of it has come, which is no outcome */
    takeProgress() {
        return this.progresses > 0 && this.progresses-- > 0;
    }

    /** @returns whether a message is sent settled, and so deleted, though it was to be locked */
    takeSettled() {
        return this.settled > 0 && this.settled-- > 0;
    }

    /** @returns bytes that are more than any message has, in place of a message's; undefined if the message is sent */
    takeOversized() {
        return this.oversized > 0 && this.oversized-- > 0 ? Buffer.alloc(102 * 1024 * 1024) : undefined;
    }

    takeLostOutcome() {
        return this.#lostOutcomes > 0 && this.#lostOutcomes-- > 0;
    }

    /** Does `action` now, or as much later as every answer is. */
    later(action) {
        if (this.slowMs > 0) {
            setTimeout(action, this.slowMs);
        } else {
            action();
        }
    }

    /** Perhaps drops the connection or detaches the link. @returns true if so: what came last is not handled */
    strikes(client, link) {
        const { dropProbability, detachProbability } = this.#random;
        if (dropProbability > 0 && this.#draw() < dropProbability) {
            client.stats.drops++;
            client.connection.socket.destroy();
            return true;
        }
        if (detachProbability > 0 && this.#draw() < detachProbability) {
            client.stats.detaches++;
            client.end(link, "amqp:link:detach-forced", "The link was detached by the broker.");
            return true;
        }
        return false;
    }

    /** The same numbers for the same seed (a linear congruential generator). */
    #draw() {
        this.#seed = (Math.imul(this.#seed, 1_664_525) + 1_013_904_223) >>> 0;
        return this.#seed / 2 ** 32;
    }
}
