// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

import { createHmac, timingSafeEqual } from "node:crypto";

import { checkEntraToken, EntraTokenError } from "./entra.mjs";
import { plainAddress } from "./namespace.mjs";

/** A token that is not good, and the HTTP status that says so. */
export class TokenRefused extends Error {
    constructor(status, description) {
        super(description);
        this.status = status;
    }
}

/**
 * Checks a shared access signature against the rules of the namespace.
 *
 * @param audience  what the token is put for, such as sb://host/queue
 * @returns {{rights: Set<string>, expiresAt: number}}
 */
export function checkToken(namespace, token, audience) {
    const found = /^SharedAccessSignature (.+)$/.exec(token ?? "");
    if (!found) {
        throw new TokenRefused(400, "The token is no SharedAccessSignature.");
    }
    const fields = new Map(found[1].split("&").map((field) => [field.slice(0, field.indexOf("=")),
        field.slice(field.indexOf("=") + 1)]));
    const rule = namespace.rules.get(decodeURIComponent(fields.get("skn") ?? ""));
    const resource = fields.get("sr") ?? "";
    const expiry = fields.get("se") ?? "";
    const given = Buffer.from(decodeURIComponent(fields.get("sig") ?? ""), "base64");
    const expected = createHmac("sha256", rule?.key ?? "").update(`${resource}\n${expiry}`).digest();
    if (!rule || given.length !== expected.length || !timingSafeEqual(given, expected)) {
        throw new TokenRefused(401, "InvalidSignature: The token has an invalid signature.");
    }
    const expiresAt = Number(expiry) * 1000;
    if (!(expiresAt > namespace.clock.now())) {
        throw new TokenRefused(401, "ExpiredToken: The token is expired.");
    }
    if (!covers(plainAddress(decodeURIComponent(resource)), plainAddress(audience))) {
        throw new TokenRefused(401, `The token is for '${decodeURIComponent(resource)}', not for '${audience}'.`);
    }
    return { rights: rule.rights, expiresAt };
}

/**
 * Checks a token of the type that `$cbs` was told.
 *
 * @returns {{rights: Set<string>, expiresAt: number}}
 */
function checkTokenOfType(namespace, type, token, audience) {
    switch (type) {
        case "servicebus.windows.net:sastoken":
            return checkToken(namespace, token, audience);
        case "jwt":
            try {
                return checkEntraToken(namespace, token);
            } catch (error) {
                throw error instanceof EntraTokenError ? new TokenRefused(401, error.message) : error;
            }
        default:
            throw new TokenRefused(400, `The token type '${type}' is not supported.`);
    }
}

/** A token for a resource is one for what lies below it. */
function covers(resource, address) {
    const [whole, part] = [resource.toLowerCase(), address.toLowerCase()];
    return whole === "" || /^(?:sb|amqps?|https?):\/\//.test(whole) || part === whole || part.startsWith(`${whole}/`);
}

/** The tokens that one connection has put. */
export class Tokens {
    #namespace;
    #tokens = new Map(); // by address: { rights, expiresAt }
    #timer;

    /** @param expired  called with the address whose token has come to its end */
    constructor(namespace, expired) {
        this.#namespace = namespace;
        this.expired = expired;
    }

    put(type, token, audience) {
        const address = plainAddress(audience).toLowerCase();
        const checked = checkTokenOfType(this.#namespace, type, token, audience);
        this.#tokens.set(address, checked);
        this.#namespace.clock.at(checked.expiresAt, () => this.#end(address, checked));
    }

    /** @returns undefined if there is the right, else what is missing */
    problem(address, right) {
        const wanted = address.toLowerCase();
        for (const [covered, { rights, expiresAt }] of this.#tokens) {
            if ((wanted === covered || wanted.startsWith(`${covered}/`)) && expiresAt > this.#namespace.clock.now()) {
                return rights.has(right) || rights.has("Manage") ? undefined
                    : `Unauthorized access. '${right}' claim(s) are required to perform this operation.`;
            }
        }
        return "Unauthorized access. There is no token for this entity.";
    }

    /** All end now. */
    expireAll() {
        for (const [address, token] of [...this.#tokens]) {
            this.#end(address, token);
        }
    }

    #end(address, token) {
        if (this.#tokens.get(address) === token) {
            this.#tokens.delete(address);
            this.expired(address);
        }
    }
}
