// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// Requests to the server: queries, commands that count once, and what can go wrong with either.
import { tab } from './device.js';

/// No answer came: the request may or may not have arrived. The message is the request's method.
export class Unreachable extends Error {}

/// The server answered with an error: RFC 9457 problem details, if it sent any.
export class Problem extends Error {
    constructor(status, body, retryAfter) {
        super(body?.detail || body?.title || `The server answered with status ${status}.`);
        Object.assign(this, { status, retryAfter, errors: Array.isArray(body?.errors) ? body.errors : [] });
    }
}

/// Seconds of a Retry-After header, which holds seconds or a date; 2 if it is missing, 120 at most.
function retryAfter(header) {
    const seconds = /^\d+$/.test(header ?? '') ? Number(header) : (Date.parse(header ?? '') - Date.now()) / 1000;
    return Number.isFinite(seconds) ? Math.min(Math.max(Math.ceil(seconds), 1), 120) : 2;
}

/// Tells the page, by an event of the window, whether the server could be reached.
export const reached = (isReached) => window.dispatchEvent(new CustomEvent('reached', { detail: isReached }));

export async function api(path, { method = 'GET', body, headers = {} } = {}) {
    let response;
    let answer;
    try {
        response = await fetch(path, {
            method, cache: 'no-store', credentials: 'omit', signal: AbortSignal.timeout?.(20_000),
            headers: body === undefined ? headers : { 'Content-Type': 'application/json', ...headers },
            body: body === undefined ? undefined : JSON.stringify(body),
        });
        answer = await response.text();
        reached(true);
    } catch (cause) {
        reached(false);
        throw new Unreachable(method, { cause });
    }
    let parsed = null;
    try { parsed = JSON.parse(answer); } catch { parsed = null; }
    if (response.ok && parsed !== null) return parsed;
    throw new Problem(response.status, parsed, retryAfter(response.headers.get('Retry-After')));
}

function uuid() {
    if (crypto.randomUUID) return crypto.randomUUID(); // only offered in secure contexts
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
    return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

/// True if the outcome of a request is still open, so that sending the same again is right.
export const undecided = (error) =>
    error instanceof Unreachable || (error instanceof Problem && (error.status >= 500 || error.status === 429));

/// Sends a command. The same intent keeps its Idempotency-Key until the server has decided, even over a reload.
export async function command(path, { method = 'POST', body, headers } = {}) {
    const intent = `intent ${method} ${path} ${JSON.stringify(body ?? null)}`;
    const key = tab.get(intent) ?? uuid();
    tab.set(intent, key);
    try {
        const answer = await api(path, { method, body, headers: { ...headers, 'Idempotency-Key': key } });
        tab.remove(intent);
        return answer;
    } catch (error) {
        if (!undecided(error)) tab.remove(intent);
        throw error;
    }
}

export const attendeePath = (id, rest = '') => `/api/attendee/${encodeURIComponent(id)}${rest}`;
export const confirmationPath = (id) => `/api/confirmation/${encodeURIComponent(id)}`;
