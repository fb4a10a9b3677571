// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// What happened to the registration that is shown, one event after the other.
import { $, element, time, value } from './dom.js';
import { events as titles, fields } from './words.js';

export function clearTimeline() {
    $('timeline').replaceChildren();
    $('event-places').replaceChildren();
    $('last-command').textContent = '';
}

function item(event) {
    const data = Object.entries(event.data ?? {}).map(([name, content]) => element('div', {},
        element('dt', { text: fields[name] ?? name }),
        element('dd', {}, value(typeof content === 'string' ? content : JSON.stringify(content)))));
    return element('li', { 'data-event-type': event.type, 'data-version': event.version },
        element('p', { class: 'event-title', text: titles[event.type] ?? event.type }),
        element('dl', {}, ...data),
        element('p', { class: 'event-time' }, time(event.time)));
}

/// Adds the events that the timeline lacks, in order of their versions.
export function renderEvents(events) {
    const list = $('timeline');
    for (const event of events ?? []) {
        const version = Number(event.version);
        const at = [...list.children].findIndex((other) => Number(other.dataset.version) >= version);
        const later = list.children[at] ?? null;
        if (later && Number(later.dataset.version) === version) continue;
        list.insertBefore(item(event), later);
        const place = element('code', { text: `${event.type}, version ${version}, position ${event.position}` });
        $('event-places').insertBefore(element('li', {}, place), at < 0 ? null : $('event-places').children[at]);
    }
}
