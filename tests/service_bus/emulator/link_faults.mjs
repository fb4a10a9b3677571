// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

// What a broker may do to links: answer late or never, refuse at once, let go again.

export const sessionFilter = "com.microsoft:session-filter";

const ways = ["unanswered", "without-credit", "refused", "detached", "closed", "other-session", "unnamed-session"];
/** These let the link be attached. */
const attachingWays = ["without-credit", "other-session", "unnamed-session"];

/** Which links are treated badly, and how. Links to `$cbs` never are. */
export class LinkFaults {
    /** How much later a drain is answered; Infinity: never. */
    drainMs = 0;
    #attach = { count: 0 };

    clear() {
        this.setDrain({ ms: 0 });
        this.setAttach({ count: 0 });
    }

    /** @param {{ms: ?number}} fault  null: never */
    setDrain({ ms }) {
        this.drainMs = ms ?? Infinity;
    }

    /** The next `count` attaches (all, if none is given) to `entity` (all, if none is named) fail in the way `how` says. */
    setAttach({ how, entity, condition, count = Infinity }) {
        if (count > 0 && !ways.includes(how)) {
            throw new Error(`how: expected one of ${ways.join(", ")}, found ${how}`);
        }
        this.#attach = { how, entity, condition, count };
    }

    /** Answers a drain when it is time. */
    answerDrain(answer) {
        if (this.drainMs === 0) {
            answer();
        } else if (this.drainMs !== Infinity) {
            setTimeout(answer, this.drainMs);
        }
    }

    /** @returns whether a link to `address` that is attached now gets no credit */
    withholdsCredit(address) {
        return this.#attach.how === "without-credit" && this.#take(address);
    }

    /** @returns the filter that names the session of a link to `address` that is attached now */
    filterOf(address, id) {
        if (this.#attach.how?.endsWith("-session") && this.#take(address)) {
            return this.#attach.how === "other-session" ? { [sessionFilter]: `not ${id}` } : {};
        }
        return { [sessionFilter]: id };
    }

    /** Perhaps makes an attach fail. @returns true if so: there is nothing else to do for it */
    strikesAttach(client, link, address) {
        if (attachingWays.includes(this.#attach.how) || !this.#take(address)) {
            return false;
        }
        const { how, condition } = this.#attach;
        switch (how) {
            case "unanswered":
                link.state.local_open = false;
                link.state.open_requests--;
                break;
            case "refused":
                link.local.attach.source = undefined;
                link.local.attach.target = undefined;
                link.close({ condition: condition ?? "com.microsoft:timeout", description: "Refused at once." });
                break;
            case "detached":
                link.set_source(sessionFilter in (link.source?.filter ?? {})
                    ? { address, filter: { [sessionFilter]: "any" } } : { address });
                link.set_target({ address });
                setImmediate(() => link.close({ condition: condition ?? "amqp:internal-error",
                    description: "Let go right after the attach." }));
                break;
            default:
                client.close(condition);
        }
        return true;
    }

    #take(address) {
        const { count, entity } = this.#attach;
        if (count === 0 || (entity !== undefined && entity !== address)) {
            return false;
        }
        this.#attach.count--;
        return true;
    }
}
