// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

import { createHmac, timingSafeEqual } from "node:crypto";

import { checkEntraToken, EntraTokenError } from "./entra.mjs";

/** Why a request is not authorised; the message is what the service writes into its answer. */
export class TokenError extends Error {}

/**
 * Checks the Authorization header of a request and returns the rights that its token gives for the entity.
 *
 * The signature is over the audience as it stands in the token, still encoded, and the expiry; the key is used as it
 * is, not decoded. An audience covers its own path and whatever lies below it, on the host it names.
 *
 * @param {string|undefined} header
 * @param {{host: string, path: string}} resource  host name without port, path with a leading slash
 * @param {Namespace} namespace
 * @returns {Set<string>} of Manage, Send and Listen
 * @throws {TokenError} if the token is missing, malformed, expired, signed by another key or for another resource
 */
export function rightsOf(header, resource, namespace) {
    if (header?.startsWith("Bearer ")) {
        return rightsOfBearer(header.slice("Bearer ".length), namespace);
    }
    const { sr, sig, se, skn } = fieldsOf(header);
    const rule = namespace.rules.get(decodeURIComponent(skn));
    const expected = rule && createHmac("sha256", rule.key).update(`${sr}\n${se}`).digest();
    const given = Buffer.from(decodeURIComponent(sig), "base64");
    if (!expected || expected.length !== given.length || !timingSafeEqual(expected, given)) {
        throw new TokenError("InvalidSignature: The token has an invalid signature.");
    }
    if (Number(se) * 1000 <= namespace.clock.now()) {
        throw new TokenError("ExpiredToken: The token is expired.");
    }
    if (!covers(decodeURIComponent(sr), resource)) {
        throw new TokenError("InvalidAudience: The authorization header contains an invalid audience.");
    }
    return new Set(rule.rights);
}

function rightsOfBearer(token, namespace) {
    try {
        return checkEntraToken(namespace, token).rights;
    } catch (error) {
        throw error instanceof EntraTokenError ? new TokenError(error.message) : error;
    }
}

function fieldsOf(header) {
    if (!header) {
        throw new TokenError("MissingToken: The authorization header was not found.");
    }
    const [scheme, rest = ""] = header.split(/ (.*)/s);
    const fields = Object.fromEntries(rest.split("&").map((part) => part.split(/=(.*)/s).slice(0, 2)));
    const complete = ["sr", "sig", "se", "skn"].every((name) => fields[name]);
    if (scheme !== "SharedAccessSignature" || !complete || !/^\d+$/.test(fields.se) || !decodable(fields)) {
        throw new TokenError("MalformedToken: The token is no SharedAccessSignature with sr, sig, se and skn.");
    }
    return fields;
}

function decodable(fields) {
    try {
        Object.values(fields).forEach(decodeURIComponent);
        return true;
    } catch {
        return false;
    }
}

function covers(audience, { host, path }) {
    const match = /^(?:[a-z]+:\/\/)?([^/:?]+)(?::\d+)?([^?]*)/.exec(audience.toLowerCase());
    if (!match || match[1] !== host.toLowerCase()) {
        return false;
    }
    const prefix = match[2].replace(/\/+$/, "");
    const wanted = path.toLowerCase();
    return wanted === prefix || wanted.startsWith(`${prefix}/`);
}
