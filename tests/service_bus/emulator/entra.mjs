// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

import { createHmac, timingSafeEqual } from "node:crypto";

/** Why a token is not taken; the message is what the service would say. */
export class EntraTokenError extends Error {}

const audiences = ["https://servicebus.azure.net", "https://servicebus.azure.net/"];

/**
 * Checks a token of Microsoft Entra ID: a JSON Web Token for Service Bus, of an identity that has roles in the namespace.
 *
 * The real service checks Entra's RSA signature; here tests sign with a key that they share with the emulator (HS256).
 *
 * @param {{entraKey: string, identities: Map<string, string[]>, clock: {now: () => number}}} namespace
 * @returns {{rights: Set<string>, expiresAt: number}} no rights, if the identity has no role
 * @throws {EntraTokenError}
 */
export function checkEntraToken(namespace, token) {
    const [header, claims] = partsOf(namespace.entraKey, token);
    if (header.alg !== "HS256" || header.typ !== "JWT") {
        throw new EntraTokenError("MalformedToken: The token has an unsupported algorithm or type.");
    }
    const now = namespace.clock.now();
    if (!audiences.includes(claims.aud)) {
        throw new EntraTokenError(`InvalidAudience: The token is for '${claims.aud}', not for Service Bus.`);
    }
    if (!(claims.exp * 1000 > now)) {
        throw new EntraTokenError("ExpiredToken: The token is expired.");
    }
    if (claims.nbf !== undefined && claims.nbf * 1000 > now + 300_000) {
        throw new EntraTokenError("The token is not valid yet.");
    }
    return { rights: new Set(namespace.identities.get(claims.oid) ?? []), expiresAt: claims.exp * 1000 };
}

function partsOf(key, token) {
    const parts = String(token ?? "").split(".");
    const signature = Buffer.from(parts[2] ?? "", "base64url");
    const expected = createHmac("sha256", key).update(`${parts[0]}.${parts[1]}`).digest();
    if (parts.length !== 3 || signature.length !== expected.length || !timingSafeEqual(signature, expected)) {
        throw new EntraTokenError("InvalidSignature: The token has an invalid signature.");
    }
    try {
        return parts.slice(0, 2).map((part) => JSON.parse(Buffer.from(part, "base64url")));
    } catch {
        throw new EntraTokenError("MalformedToken: The token is no JSON Web Token.");
    }
}
