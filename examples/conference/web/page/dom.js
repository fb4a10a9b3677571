// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// Elements of the page. Data only ever enters it as text, and each value is isolated: what reads from right to left, or
// holds characters that turn text round, changes nothing outside it.

export const $ = (id) => document.getElementById(id);

/// A new element with text and attributes.
export function element(name, { text, ...attributes } = {}, ...children) {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
}

/// What a person typed, or the server says of it.
export const value = (text) => element('bdi', { text: text ?? '' });

/// An email address, which breaks after its @ and before its dots unless a part is longer than a line.
export function address(text) {
    const parts = (text ?? '').split(/(?<=@)|(?=\.)/);
    return element('bdi', { class: 'address' }, ...parts.flatMap((part) => [part, element('wbr')]).slice(0, -1));
}

const format = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'short' });

export function time(text) {
    const when = new Date(text ?? '');
    const shown = Number.isNaN(when.valueOf()) ? (text ?? '') : format.format(when);
    return element('time', { datetime: text ?? '', text: shown });
}

/// Shows a message in `place`, until the next one. Without content there is none.
export function notice(place, tone, ...content) {
    place.replaceChildren(...content);
    place.dataset.tone = tone;
}

/// Scrolls no further than is needed to see the element; style.css keeps it clear of the bars.
export const reveal = (shown) => shown.scrollIntoView({ block: 'nearest' });

/// Copies the field's text, and says so on the button and in the status.
export function copyButton(button, field, status) {
    const label = button.textContent;
    let clear = 0;
    button.addEventListener('click', async () => {
        field.select();
        // Only offered in secure contexts, and a person may forbid it.
        const copied = await navigator.clipboard?.writeText(field.value).then(() => true, () => false)
            || document.execCommand('copy');
        button.textContent = copied ? 'Copied' : label;
        status.classList.toggle('quiet', copied);
        status.textContent = copied ? 'Copied' : 'The link is selected: please copy it by hand.';
        clearTimeout(clear);
        clear = setTimeout(() => { button.textContent = label; status.textContent = ''; }, 8000);
    });
}
