// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

// Messages as bytes: what the broker must know of them is read, what it has to add is put in front, and the rest passes
// through byte for byte.

import rhea from "rhea";

const { message: codec, types } = rhea;

/** Format of a transfer that carries several messages. */
export const batchFormat = 0x80013700;

const section = { header: 0x70, deliveryAnnotations: 0x71, messageAnnotations: 0x72, properties: 0x73, application: 0x74 };
const rawBytes = Symbol("raw bytes");
const decode = codec.decode;

// rhea hands out decoded messages only; the bytes they came from are needed too.
codec.decode = (buffer) => {
    const message = decode(buffer);
    Object.defineProperty(message, rawBytes, { value: buffer });
    return message;
};

/** End of the AMQP value that begins at `at`. */
function endOf(buffer, at) {
    const type = buffer.readUInt8(at);
    if (type === 0) {
        return endOf(buffer, endOf(buffer, at + 1));
    }
    switch (type >> 4) {
        case 0x4: return at + 1;
        case 0x5: return at + 2;
        case 0x6: return at + 3;
        case 0x7: return at + 5;
        case 0x8: return at + 9;
        case 0x9: return at + 17;
        case 0xa: case 0xc: case 0xe: return at + 2 + buffer.readUInt8(at + 1);
        case 0xb: case 0xd: case 0xf: return at + 5 + buffer.readUInt32BE(at + 1);
        default: throw new Error(`no AMQP type: 0x${type.toString(16)}`);
    }
}

/** The sections of an encoded message: [code, bytes]. */
function sections(buffer) {
    const found = [];
    for (let at = 0; at < buffer.length;) {
        if (buffer[at] !== 0) {
            throw new Error("a section must begin with its descriptor");
        }
        const end = endOf(buffer, at);
        if (end > buffer.length) {
            throw new Error("a section is longer than the message");
        }
        const code = buffer[at + 1] === 0x53 ? buffer[at + 2] : Number(buffer.readBigUInt64BE(at + 2));
        found.push([code, buffer.subarray(at, end)]);
        at = end;
    }
    return found;
}

function milliseconds(time) {
    return time === undefined ? undefined : Number(time.valueOf());
}

function textOf(id) {
    return id === undefined || id === null ? undefined : Buffer.isBuffer(id) ? id.toString("hex") : String(id);
}

/** What the broker keeps of a message: ids, times, annotations, and the bytes. */
function toBroker(message, bytes) {
    const annotations = message.message_annotations ?? {};
    const scheduled = annotations["x-opt-scheduled-enqueue-time"];
    return {
        messageId: textOf(message.message_id), sessionId: textOf(message.group_id),
        // What filters look at, too:
        subject: message.subject, to: message.to, replyTo: message.reply_to, correlationId: textOf(message.correlation_id),
        contentType: message.content_type, replyToSessionId: message.reply_to_group_id,
        properties: message.application_properties ?? {},
        ttl: message.ttl, durable: message.durable, priority: message.priority,
        scheduledAt: milliseconds(scheduled),
        annotations: { ...annotations },
        sections: sections(bytes).filter(([code]) => code >= section.properties),
        size: bytes.length,
    };
}

/** Reads what has arrived: one message, or the several of a batch. */
export function readTransfer(received, format) {
    if (format !== batchFormat) {
        return [toBroker(received, received[rawBytes])];
    }
    const batch = decode(received);
    const bodies = batch.body.multiple ? batch.body.content : [batch.body.content ?? batch.body];
    return bodies.flat().map((bytes) => toBroker(decode(bytes), bytes));
}

/** Reads an encoded message that came inside another one. */
export function readEncoded(bytes) {
    return toBroker(decode(bytes), bytes);
}

function only(buffer, wanted) {
    return sections(buffer).filter(([code]) => wanted.includes(code)).map(([, bytes]) => bytes);
}

/** Changes application properties of an entry. */
export function changeProperties(entry, added) {
    if (!added || Object.keys(added).length === 0) {
        return;
    }
    const at = entry.sections.findIndex(([code]) => code === section.application);
    const before = at < 0 ? {} : decode(entry.sections[at][1]).application_properties;
    const encoded = codec.encode({ application_properties: { ...before, ...added }, body: "" });
    const [bytes] = only(encoded, [section.application]);
    const changed = entry.sections.filter(([code]) => code !== section.application);
    const place = changed.findIndex(([code]) => code > section.application);
    changed.splice(place < 0 ? changed.length : place, 0, [section.application, bytes]);
    entry.sections = changed;
}

function stateOf(entry) {
    return entry.state === "scheduled" ? 2 : entry.wasDeferred ? 1 : 0;
}

/**
 * Encodes an entry as a client gets it.
 *
 * @param lockedUntil  undefined: it is only looked at
 * @param token  of a lock that the delivery's tag does not tell
 */
export function encodeEntry(entry, { lockedUntil, token } = {}) {
    const annotations = {};
    for (const [name, value] of Object.entries(entry.annotations)) {
        annotations[name] = name.endsWith("-time") ? types.wrap_timestamp(milliseconds(value)) : value;
    }
    annotations["x-opt-sequence-number"] = types.wrap_long(entry.sequenceNumber);
    annotations["x-opt-enqueue-sequence-number"] = types.wrap_long(entry.scheduledSequenceNumber ?? entry.sequenceNumber);
    annotations["x-opt-enqueued-time"] = types.wrap_timestamp(entry.enqueuedAt);
    annotations["x-opt-message-state"] = types.wrap_int(stateOf(entry));
    if (lockedUntil !== undefined) {
        annotations["x-opt-locked-until"] = types.wrap_timestamp(lockedUntil);
    }
    const head = {
        durable: entry.durable ?? false, delivery_count: entry.deliveries, message_annotations: annotations, body: "",
    };
    if (entry.ttl !== undefined) {
        head.ttl = entry.ttl;
    }
    if (token) {
        head.delivery_annotations = { "x-opt-lock-token": types.wrap_uuid(token) };
    }
    if (entry.deadLetter && !entry.deadLetter.isWritten) {
        changeProperties(entry, {
            DeadLetterReason: entry.deadLetter.reason, DeadLetterErrorDescription: entry.deadLetter.description,
        });
        entry.deadLetter.isWritten = true;
    }
    const front = only(codec.encode(head), [section.header, section.deliveryAnnotations, section.messageAnnotations]);
    return Buffer.concat([...front, ...entry.sections.map(([, bytes]) => bytes)]);
}

/** A lock token as a delivery's tag has it: the bytes of a .NET Guid. */
export function tagOf(token) {
    return reordered(Buffer.from(token.replaceAll("-", ""), "hex"));
}

/** The token in a UUID's bytes. */
export function tokenOf(bytes) {
    const hex = bytes.toString("hex");
    return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

function reordered(bytes) {
    return Buffer.from([3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15].map((at) => bytes[at]));
}
