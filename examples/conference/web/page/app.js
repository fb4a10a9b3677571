// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.

const $ = (id) => document.getElementById(id);
const pause = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000));

/// A new element with text and attributes. Data only ever enters the page as text.
function element(name, { text, ...attributes } = {}, ...children) {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
}

const format = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'medium' });

function time(text) {
    const when = new Date(text ?? '');
    const shown = Number.isNaN(when.valueOf()) ? (text ?? '') : format.format(when);
    return element('time', { datetime: text ?? '', text: shown });
}

/// Storage may be switched off or full; the page then works without a memory.
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
        set: (key, value) => attempt((storage) => storage.setItem(key, value)),
        remove: (key) => attempt((storage) => storage.removeItem(key)),
    };
}
const device = memory('localStorage');
const tab = memory('sessionStorage');

/// No answer came: the request may or may not have arrived. The message is the request's method.
class Unreachable extends Error {}

/// The server answered with an error: RFC 9457 problem details, if it sent any.
class Problem extends Error {
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

async function api(path, { method = 'GET', body, headers = {} } = {}) {
    let response;
    let answer;
    try {
        response = await fetch(path, {
            method, cache: 'no-store', credentials: 'omit', signal: AbortSignal.timeout?.(20_000),
            headers: body === undefined ? headers : { 'Content-Type': 'application/json', ...headers },
            body: body === undefined ? undefined : JSON.stringify(body),
        });
        answer = await response.text();
    } catch (cause) {
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

/// Whether the outcome of a request is still open, so that sending the same again is the way on.
const undecided = (error) => error instanceof Unreachable || (error instanceof Problem && error.status >= 500);

/// Sends a command. The same intent keeps its Idempotency-Key until the server has decided, even over a reload.
async function command(path, { method = 'POST', body, headers } = {}) {
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

const attendeePath = (id, rest = '') => `/api/attendee/${encodeURIComponent(id)}${rest}`;

function sentence(error) {
    if (error instanceof Unreachable) {
        return error.message === 'GET' ? 'The server can’t be reached. Please check your connection and try again.'
            : 'The server can’t be reached, so we can’t tell whether this arrived. ' +
              'Trying again is safe: it counts once.';
    }
    if (error.status === 503) return 'We are busy just now. Please try again in a moment.';
    if (!(error instanceof Problem)) console.error(error);
    return error.message;
}

/// Puts a retry button behind `place`; it stays shut for as long as the server asked for.
function offerRetry(place, error, again) {
    if (place.nextElementSibling?.matches('.retry')) place.nextElementSibling.remove();
    if (!again || !undecided(error)) return;
    const button = element('button', { class: 'retry', type: 'button', 'data-testid': 'retry' });
    place.after(button);
    let left = error instanceof Problem ? error.retryAfter : 0;
    const tick = () => {
        button.textContent = left > 0 ? `Try again in ${left} s` : 'Try again';
        button.disabled = left > 0;
        if (left-- > 0 && button.isConnected) setTimeout(tick, 1000);
    };
    tick();
    button.addEventListener('click', () => {
        (place.closest('form')?.querySelector('[type=submit]') ?? $('main')).focus({ preventScroll: true });
        again();
    });
}

/// Shows what went wrong beside the field it concerns and moves there; any other error leaves the focus alone.
function showError(form, error, again) {
    const place = $(form.id.replace(/form$/, 'error'));
    const named = (error?.errors ?? []).filter((entry) => form.elements.namedItem(entry.field ?? ''));
    const texts = named.map((entry) => entry.detail || error.message);
    place.textContent = !error ? '' : texts.length ? [...new Set(texts)].join(' ') : sentence(error);
    for (const field of form.elements) {
        if (named.some((entry) => entry.field === field.name)) field.setAttribute('aria-invalid', 'true');
        else field.removeAttribute('aria-invalid');
    }
    form.querySelector('[aria-invalid]')?.focus();
    offerRetry(place, error, again);
}

function setBusy(button, busy) {
    button.setAttribute('aria-disabled', String(busy)); // stays focusable, unlike disabled
    button.toggleAttribute('data-busy', busy);
}

/// Runs `action` with the form's trimmed values; one run at a time, its errors shown in the form.
function onSubmit(form, missing, action) {
    const button = form.querySelector('[type=submit]');
    const run = async () => {
        if (button.hasAttribute('data-busy') || form.querySelector('.retry:disabled')) return;
        showError(form, null);
        const empty = [...form.elements].find((field) => field.required && !field.value.trim());
        if (empty) return showError(form, { errors: [{ field: empty.name, detail: missing }] });
        setBusy(button, true);
        try {
            await action(Object.fromEntries([...new FormData(form)].map(([name, value]) => [name, value.trim()])));
        } catch (error) {
            showError(form, error, run);
        } finally {
            setBusy(button, false);
        }
    };
    form.addEventListener('submit', (event) => { event.preventDefault(); run(); });
    form.addEventListener('input', (event) => event.target.removeAttribute('aria-invalid'));
    return run;
}

function notice(text, tone = 'good', place = $('registration-notice')) {
    place.textContent = text;
    place.dataset.tone = tone;
    offerRetry(place, null);
}

let current = null; // the registration shown: { id, version, stream, timer, awaited }

const titles = {
    AttendeeRegistered: 'Seat taken',
    EmailChangeRequested: 'New address asked for',
    EmailChangeConfirmed: 'New address confirmed',
    AttendeeUnregistered: 'Seat given back',
};
const labels = { email: 'Email', reason: 'Reason' };

/// Makes `id` the registration that the page shows; nothing is shown before data for it comes.
function choose(id) {
    if (current?.id === id) return;
    leave();
    current = { id, version: 0, stream: null, timer: null, awaited: null };
    device.set('attendeeId', id);
}

function leave() {
    current?.stream?.close();
    clearTimeout(current?.timer);
    current = null;
    $('timeline').replaceChildren();
    $('registration').hidden = true;
    $('registration-empty').hidden = false;
    for (const name of ['confirm', 'change-email', 'unregister']) {
        $(`${name}-form`).reset();
        showError($(`${name}-form`), null);
    }
}

function renderAttendee(attendee) {
    if (attendee?.attendeeId !== current?.id || attendee.version < current.version) return;
    current.version = attendee.version;
    const there = attendee.status === 'registered';
    $('attendee-status').textContent = attendee.status;
    $('attendee-status').dataset.status = attendee.status;
    $('attendee-email').textContent = attendee.email;
    $('attendee-pending-email').textContent = attendee.pendingEmail ?? '';
    $('attendee-reason').textContent = attendee.reason ?? '';
    $('attendee-since').replaceChildren(time(attendee.registeredAt));
    $('attendee-id').textContent = attendee.attendeeId;
    $('pending-row').hidden = !attendee.pendingEmail;
    $('reason-row').hidden = attendee.reason === null || attendee.reason === undefined;
    $('confirm-form').toggleAttribute('data-wanted', Boolean(attendee.pendingEmail));
    $('changes').hidden = !there;
    if (!there && $('unregister-dialog').open) $('unregister-dialog').close();
    $('registration').hidden = false;
    $('registration-empty').hidden = true;
    settle();
}

/// Announces the awaited command once the page shows it, whether a GET or the stream brought it.
function settle() {
    const { version, awaited } = current;
    if (!awaited || version < awaited.version) return;
    current.awaited = null;
    const waited = Math.round(performance.now() - awaited.started);
    $('last-command').textContent = `Your last command became version ${awaited.version}, at position ` +
        `${awaited.position} of the log, and was read back after ${waited} ms.`;
    notice(awaited.done);
}

/// Adds the events that the timeline lacks, in order of their versions.
function renderEvents(id, events) {
    if (id !== current?.id) return;
    const list = $('timeline');
    for (const event of events ?? []) {
        const version = Number(event.version);
        const later = [...list.children].find((item) => Number(item.dataset.version) >= version);
        if (later && Number(later.dataset.version) === version) continue;
        const data = Object.entries(event.data ?? {}).map(([name, value]) => element('div', {},
            element('dt', { text: labels[name] ?? name }),
            element('dd', { text: typeof value === 'string' ? value : JSON.stringify(value) })));
        list.insertBefore(element('li', { 'data-event-type': event.type, 'data-version': version },
            element('p', { class: 'event-title', text: titles[event.type] ?? event.type }),
            element('dl', {}, ...data),
            element('p', { class: 'event-place' },
                element('code', { text: event.type }), element('span', { text: `version ${version}` }),
                element('span', { text: `position ${event.position}` }), time(event.time))), later ?? null);
    }
}

function streamState(state) {
    $('stream-state').dataset.state = state;
    $('stream-state').textContent = { live: 'live', off: 'connecting…' }[state];
}

/// Follows the attendee. The browser reconnects a broken stream by itself, but gives up on a refused one: that is ours.
function follow(delay = 2) {
    if (!current || current.stream) return;
    const mine = current;
    const stream = mine.stream = new EventSource(attendeePath(mine.id, '/stream'));
    streamState('off');
    stream.addEventListener('open', () => { delay = 2; if (mine === current) streamState('live'); });
    stream.addEventListener('attendee', (message) => {
        const { attendee, events } = JSON.parse(message.data);
        renderAttendee(attendee);
        renderEvents(attendee.attendeeId, events);
    });
    stream.addEventListener('error', () => {
        if (mine !== current) return stream.close();
        streamState('off');
        if (stream.readyState !== EventSource.CLOSED) return;
        mine.stream = null;
        mine.timer = setTimeout(() => mine === current && follow(Math.min(delay * 2, 30)), delay * 1000);
    });
}

async function load(id, position) {
    const query = position === undefined ? '' : `?position=${position}`;
    const attendee = await api(attendeePath(id, query));
    const history = await api(attendeePath(id, `/history${query}`));
    choose(id);
    renderAttendee(attendee);
    renderEvents(id, history.events);
    follow();
}

/// Sends a command about an attendee, calls `accepted` once it is stored, then waits for the read model to show it and
/// goes there, unless the user has gone on. When that lags for long, says so and leaves the rest to the live stream.
async function act(path, options, done, accepted = () => {}) {
    const started = performance.now();
    const { attendeeId, version, position } = await command(path, options);
    accepted();
    const focused = document.activeElement;
    choose(attendeeId);
    current.awaited = { version, position, started, done };
    notice('Stored. Waiting for it to show here…', 'wait');
    for (let tries = 1; current?.awaited; ++tries) { // the stream may be faster
        const lag = await load(attendeeId, position).catch((error) => error);
        if (!lag || !current?.awaited) break;
        if (tries === 3 || !undecided(lag)) {
            notice('Your change is stored, but the view is behind. It will show here by itself.', 'wait');
            follow();
            break;
        }
        await pause(lag.retryAfter ?? 2);
    }
    if ([focused, document.body].includes(document.activeElement)) arrive('my-title');
}

function arrive(target) {
    showView('attendee');
    $(target).focus({ preventScroll: true });
    $(target).scrollIntoView();
}

onSubmit($('register-form'), 'Please enter your email address.', async ({ email }) => {
    await act('/api/attendee/register', { body: { email } }, 'You are in. See you in Gdańsk!',
        () => $('register-form').reset());
});

onSubmit($('change-email-form'), 'Please enter the new email address.', async ({ email }) => {
    await act(attendeePath(current.id, '/email'), { body: { email } },
        'A confirmation id is on its way to the new address.', () => $('change-email-form').reset());
});

onSubmit($('confirm-form'), 'Please paste the confirmation id from the mail.', async ({ confirmationId }) => {
    const id = confirmationId.split(/[=/]/).at(-1); // the whole link may be pasted
    await act(attendeePath(current.id, `/email/${encodeURIComponent(id)}`), {}, 'Your new address is confirmed.',
        () => $('confirm-form').reset());
});

onSubmit($('unregister-form'), 'Please say why you unregister.', async ({ reason }) => {
    await act(attendeePath(current.id), { method: 'DELETE', body: { reason } },
        'Your seat is given back. Thank you for telling us.', () => {
            $('unregister-dialog').close();
            $('unregister-form').reset();
        });
});

$('unregister-open').addEventListener('click', () => $('unregister-dialog').showModal());
$('unregister-cancel').addEventListener('click', () => $('unregister-dialog').close());

onSubmit($('lookup-form'), 'Please paste a registration id.', async ({ attendeeId }) => {
    await load(attendeeId);
    notice('');
    $('lookup-form').reset();
    arrive('my-title');
});

$('forget').addEventListener('click', () => {
    leave();
    device.remove('attendeeId');
    notice('Forgotten on this device. The registration itself stands.');
    $('my-title').focus();
});

/// What became of the request that the link in a mail is for, unless it can still be confirmed.
const decided = {
    confirmed: ['This address is already confirmed. There is nothing left to do.', 'good'],
    replaced: ['Another address was asked for since. Please use the link in the newer mail.', 'wait'],
    ended: ['This registration was given back, so its address is not changed any more.', 'wait'],
};

let linked = null; // the confirmation id of the link that was opened

/// Shows what a link in a mail is for. Only the button confirms: programs that read mails open links, too.
async function openConfirmation(id) {
    linked = id;
    const place = $('confirmation-notice');
    $('confirmation-form').hidden = true;
    notice('', 'good', place);
    try {
        const { email, state } = await api(`/api/confirmation/${encodeURIComponent(id)}`);
        if (linked !== id) return;
        $('confirmation-email').textContent = email;
        $('confirmation-form').hidden = state !== 'pending';
        notice(...(decided[state] ?? ['', 'good']), place);
    } catch (error) {
        if (linked !== id) return;
        const broken = error instanceof Problem && [400, 404].includes(error.status);
        notice(broken ? 'This link is not known here. Please check that you have opened the whole link from the mail.'
            : sentence(error), 'bad', place);
        offerRetry(place, error, () => openConfirmation(id));
    }
}

onSubmit($('confirmation-form'), '', async () => {
    const { email } = await command(`/api/confirmation/${encodeURIComponent(linked)}`);
    $('confirmation-form').hidden = true;
    notice(`Your new address is confirmed: ${email}`, 'good', $('confirmation-notice'));
    $('confirmation-title').focus();
});

/// Shows the registration that this device remembers.
async function restore() {
    const id = device.get('attendeeId');
    if (!id || current) return;
    try {
        await load(id);
        notice('');
    } catch (error) {
        if (current) return;
        const unknown = error.status === 404;
        notice(unknown ? 'The registration this device remembers is not known here, or not yet.'
            : 'The registration this device remembers can’t be shown just now.', 'bad');
        offerRetry($('registration-notice'), unknown ? new Unreachable() : error, restore);
    }
}

/// The organiser's session; `cursors` holds one for each page turned so far.
const organiser = { token: tab.get('organiserToken'), busy: false, next: null, cursors: [''] };

const bearer = () => ({ Authorization: `Bearer ${organiser.token}` });

function attendeeRow(attendee) {
    const cell = (label, ...content) => element('td', { role: 'cell', 'data-label': label }, ...content);
    return element('tr', { role: 'row', 'data-testid': `attendee-row-${attendee.attendeeId}` },
        cell('Email', attendee.email),
        cell('Status', element('span', { text: attendee.status, 'data-status': attendee.status })),
        cell('Pending', attendee.pendingEmail ?? '–'), cell('Version', String(attendee.version)),
        cell('Registered', time(attendee.registeredAt)), cell('Id', element('code', { text: attendee.attendeeId })));
}

function deadLetterItem(letter) {
    const fact = (name, value) => element('div', {}, element('dt', { text: name }), element('dd', {}, value));
    const button = element('button', { type: 'button', 'data-testid': `resubmit-${letter.messageId}`, text: 'Resubmit',
        id: `resubmit-${letter.messageId}`, 'aria-label': `Resubmit message ${letter.messageId}` });
    const problem = element('p',
        { class: 'error', role: 'alert', 'data-testid': `resubmit-error-${letter.messageId}` });
    const resubmit = async () => {
        if (button.hasAttribute('data-busy')) return;
        setBusy(button, true);
        problem.textContent = '';
        offerRetry(problem, null);
        try {
            await command(`/api/dead-letters/${encodeURIComponent(letter.messageId)}/resubmit`, { headers: bearer() });
            $('dead-notice').textContent = `Resubmitted ${letter.messageId}.`;
            $('dead-title').focus();
            await refresh($('organiser-refresh'));
        } catch (error) {
            if (error.status === 401) return signOut(error);
            problem.textContent = sentence(error);
            offerRetry(problem, error, resubmit);
        } finally {
            setBusy(button, false);
        }
    };
    button.addEventListener('click', resubmit);
    return element('li', { 'data-testid': `dead-letter-${letter.messageId}` },
        element('h3', { text: letter.reason }), element('p', { text: letter.description }),
        element('dl', {},
            fact('Message', element('code', { text: letter.messageId })), fact('Subject', letter.subject ?? ''),
            fact('Session', element('code', { text: letter.sessionId })),
            fact('Deliveries', String(letter.deliveryCount)),
            fact('Enqueued', time(letter.enqueuedAt)), fact('Given up', time(letter.deadLetteredAt))),
        element('details', {},
            element('summary', { text: 'Body' }), element('pre', { tabindex: '0', text: letter.body })),
        button, problem);
}

/// Loads the page of attendees at the last cursor, and the dead letters.
async function openPanel() {
    const { cursors } = organiser;
    const page = `/api/attendees?limit=20&after=${encodeURIComponent(cursors.at(-1))}`;
    const [{ attendees, next }, { deadLetters }] = await Promise.all(
        [page.replace(/&after=$/, ''), '/api/dead-letters'].map((path) => api(path, { headers: bearer() })));
    organiser.next = next;
    $('attendees-table').tBodies[0].replaceChildren(...attendees.map(attendeeRow));
    $('attendees-page').textContent = attendees.length ? `Page ${cursors.length}` : 'Nobody here yet.';
    $('attendees-previous').disabled = cursors.length === 1;
    $('attendees-next').disabled = !next;
    $('dead-letters').replaceChildren(...(deadLetters.length ? deadLetters.map(deadLetterItem)
        : [element('li', { class: 'none', text: 'None. Every message was taken in.' })]));
    $('organiser-form').hidden = true;
    $('organiser-panel').hidden = false;
}

function signOut(error = null) {
    tab.remove('organiserToken');
    Object.assign(organiser, { token: null, cursors: [''] });
    $('attendees-table').tBodies[0].replaceChildren();
    $('dead-letters').replaceChildren();
    $('dead-notice').textContent = '';
    $('organiser-panel').hidden = true;
    $('organiser-form').hidden = false;
    $('organiser-form').reset();
    $('organiser-token').focus();
    showError($('organiser-form'),
        error && { errors: [{ field: 'token', detail: 'This token was not accepted. Please check it.' }] });
}

/// Loads the panel again, after `turn` may have gone to another page. What goes wrong shows in the panel, or at the
/// token if that is no longer accepted.
async function refresh(button, turn = () => {}) {
    const place = $('organiser-panel-error');
    if (organiser.busy) return;
    organiser.busy = true;
    turn();
    place.textContent = '';
    offerRetry(place, null);
    setBusy(button, true);
    try {
        await openPanel();
    } catch (error) {
        if (error.status === 401) return signOut(error);
        place.textContent = sentence(error);
        offerRetry(place, error, () => refresh(button));
    } finally {
        organiser.busy = false;
        setBusy(button, false);
    }
}

const openOrganiser = onSubmit($('organiser-form'), 'Please enter the organiser token.', async ({ token }) => {
    organiser.token = token;
    try {
        if (!/^[\x21-\x7e]+$/.test(token)) throw new Problem(401, null, 0); // no such text fits into a header
        await openPanel();
        tab.set('organiserToken', token);
        $('organiser-form').reset();
        $('organiser-title').focus();
    } catch (error) {
        if (error.status !== 401) throw error;
        signOut(error);
    }
});

$('organiser-sign-out').addEventListener('click', () => signOut());
$('organiser-refresh').addEventListener('click', () => refresh($('organiser-refresh')));
$('attendees-next').addEventListener('click',
    () => refresh($('attendees-next'), () => organiser.cursors.push(organiser.next)));
$('attendees-previous').addEventListener('click',
    () => refresh($('attendees-previous'), () => organiser.cursors.pop()));

const viewTitles = { attendee: document.title, organiser: 'Organiser · FOLD 2027', confirmation: 'Confirm · FOLD 2027' };

function showView(shown) {
    for (const name of Object.keys(viewTitles)) $(`view-${name}`).hidden = name !== shown;
    document.title = viewTitles[shown];
}

function route() {
    const confirmation = /^#confirm=(?:.*\/)?(.*)$/.exec(location.hash)?.[1]; // earlier links hold an attendee's id, too
    const view = location.hash === '#organiser' ? 'organiser' : confirmation === undefined ? 'attendee' : 'confirmation';
    const turned = $(`view-${view}`).hidden;
    showView(view);
    if (view === 'confirmation') {
        window.scrollTo(0, 0);
        $('confirmation-title').focus();
        return openConfirmation(confirmation);
    }
    if (view === 'organiser') {
        if (!$('organiser-panel').hidden) {
            refresh($('organiser-refresh'));
        } else if (organiser.token) {
            $('organiser-token').value = organiser.token;
            openOrganiser();
        }
        window.scrollTo(0, 0);
        $('organiser-title').focus();
    } else if (turned) {
        $(location.hash.slice(1) || 'top')?.scrollIntoView(); // the browser could not: the view was hidden
    }
    return restore();
}

$('skip').addEventListener('click', (event) => {
    event.preventDefault(); // the address's hash says which view is shown
    $('main').focus();
});
window.addEventListener('hashchange', route);
route();
