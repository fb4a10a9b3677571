// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// What programs call by short names, in words for people.
import { Problem, Unreachable } from './api.js';

/// What went wrong, and what the person can do.
export function sentence(error) {
    if (error instanceof Unreachable) {
        return error.message === 'GET' ? 'The server can’t be reached. Please check your connection and try again.'
            : 'The server can’t be reached, so we can’t tell whether this arrived. ' +
              'Trying again is safe: it counts once.';
    }
    if (error.status === 503) return 'We are busy just now.';
    if (!(error instanceof Problem)) console.error(error);
    return error.message;
}

export const seats = { registered: 'Registered', unregistered: 'Given back' };

export const events = {
    AttendeeRegistered: 'Registered',
    EmailChangeRequested: 'New address asked for',
    EmailChangeConfirmed: 'New address confirmed',
    AttendeeUnregistered: 'Seat given back',
};

export const fields = { email: 'Email', reason: 'Reason' };

/// Why the worker gave up on a message.
export const reasons = {
    CodecError: 'This message can’t be read.',
    HandlerFailed: 'Handling this message failed.',
    MaxDeliveryCountExceeded: 'This message was tried too often.',
    NewerSchemaVersion: 'This message comes from a newer version of the program.',
    OutOfOrder: 'An earlier message about the same registration is missing.',
    UnknownEventType: 'This program does not know this kind of message.',
};

/// What became of the request that the link in a mail is for, unless it can still be confirmed.
export const decided = {
    confirmed: ['good', 'This address is already confirmed. There is nothing left to do.'],
    replaced: ['wait', 'You have asked for another address since. Please use the link in the newer mail.'],
    ended: ['wait', 'This registration was given back, so its address is not changed any more.'],
};

/// The id at the end of what was pasted or opened: an id, or a whole link.
export const lastPart = (text) => text.trim().split(/[=/]/).at(-1);

/// What is wrong with the id of a link, as far as that can be seen; else null.
export function flawOf(id) {
    if (/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(id)) return null;
    const missing = 36 - id.length;
    const what = missing === 36 ? 'its end is missing'
        : missing > 0 ? `${missing} of the last 36 characters are missing` : 'it does not end as it should';
    return `This link is not complete: ${what}. Please copy the whole link from the mail; ` +
        'some mail programs break it into two lines.';
}
