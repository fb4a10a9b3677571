// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// What the browser remembers. Storage may be switched off or full: then it lasts as long as the page.

function memory(name) {
    const attempt = (action) => {
        try {
            return action(window[name]);
        } catch (error) {
            console.warn(error);
            return null;
        }
    };
    return {
        get: (key) => attempt((storage) => storage.getItem(key)),
        set: (key, text) => attempt((storage) => storage.setItem(key, text)),
        remove: (key) => attempt((storage) => storage.removeItem(key)),
    };
}

/// Of this tab, until it is closed.
export const tab = memory('sessionStorage');

const device = memory('localStorage');
let lastKnown = [];

function read() {
    let stored = null;
    try { stored = JSON.parse(device.get('registrations')); } catch { stored = null; }
    if (!Array.isArray(stored)) {
        const only = device.get('attendeeId'); // as earlier versions of this page kept it
        stored = only ? [{ id: only }] : lastKnown;
    }
    return stored.filter((entry) => typeof entry?.id === 'string');
}

function write(entries) {
    lastKnown = entries;
    device.set('registrations', JSON.stringify(entries));
    device.remove('attendeeId');
}

/// The registrations of this device: { id, email, ended }, the one shown last first. None is lost because of another.
export const registrations = {
    list: read,
    remember(id, news = {}) {
        const entries = read();
        const known = entries.find((entry) => entry.id === id);
        write([{ ...known, id, ...news }, ...entries.filter((entry) => entry.id !== id)]);
    },
    forget: (id) => write(read().filter((entry) => entry.id !== id)),
};
