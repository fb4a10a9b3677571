// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// The registration that is shown: what the server says of it, live, and the forms that change it.
import { Problem, Unreachable, api, attendeePath, command, confirmationPath, reached, undecided } from './api.js';
import { registrations } from './device.js';
import { $, address, copyButton, element, notice, reveal, time, value } from './dom.js';
import { offerRetry, onSubmit, showError } from './forms.js';
import { clearTimeline, renderEvents } from './timeline.js';
import { decided, flawOf, lastPart, seats, sentence } from './words.js';

let current = null; // { id, version, stream, timer, awaited }

const pause = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000));

function say(tone, ...content) {
    notice($('registration-notice'), tone, ...content);
    offerRetry($('registration-notice'), null);
}

/// Makes `id` the registration that the page shows; nothing is shown before data for it comes.
function choose(id) {
    if (current?.id === id) return;
    leave();
    current = { id, version: 0, stream: null, timer: null, awaited: null };
    registrations.remember(id);
    renderRegistrations();
    $('registration-empty').hidden = true;
}

function leave() {
    current?.stream?.close();
    clearTimeout(current?.timer);
    current = null;
    clearTimeline();
    $('registration').hidden = true;
    $('registration-empty').hidden = false;
    for (const name of ['confirm', 'change-email', 'unregister']) {
        $(`${name}-form`).reset();
        showError($(`${name}-form`), null);
    }
}

/// The registrations of this device other than the one that is shown, and what the form for a new one says of them.
function renderRegistrations() {
    const known = registrations.list();
    const others = known.filter((entry) => entry.id !== current?.id);
    $('other-registrations').hidden = others.length === 0;
    $('other-registrations').querySelector('ul').replaceChildren(...others.map(({ id, email }) => {
        const button = element('button', { class: 'plain', type: 'button', 'data-testid': `show-${id}` },
            email ? address(email) : value(id));
        button.addEventListener('click', () => show(id).catch((error) => say('bad', sentence(error))));
        const forget = element('button', { class: 'plain', type: 'button', 'data-testid': `forget-${id}`,
            'aria-label': `Forget ${email ?? id} on this device`, 'aria-haspopup': 'dialog', text: 'Forget…' });
        forget.addEventListener('click', () => askToForget(id));
        return element('li', {}, button, forget);
    }));
    const seat = known.find((entry) => !entry.ended);
    $('register-known').hidden = !seat;
    $('register-known-email').textContent = seat?.email ?? 'show it';
}

const linkTo = (id) => `${location.origin}/#registration=${id}`;

function renderAttendee(attendee) {
    if (attendee?.attendeeId !== current?.id || attendee.version < current.version) return;
    current.version = attendee.version;
    const there = attendee.status === 'registered';
    const pending = there && Boolean(attendee.pendingEmail);
    $('attendee-status').textContent = seats[attendee.status] ?? attendee.status;
    $('attendee-status').dataset.status = attendee.status;
    $('attendee-email').replaceChildren(address(attendee.email));
    $('attendee-pending-email').replaceChildren(address(attendee.pendingEmail));
    $('attendee-reason').replaceChildren(value(attendee.reason));
    $('attendee-since').replaceChildren(time(attendee.registeredAt));
    $('attendee-id').textContent = attendee.attendeeId;
    $('registration-link').value = linkTo(attendee.attendeeId);
    $('pending-row').hidden = !pending;
    $('confirm-form').hidden = !pending;
    $('confirm-email').replaceChildren(address(attendee.pendingEmail));
    $('reason-row').hidden = attendee.reason === null || attendee.reason === undefined;
    $('changes').hidden = !there;
    if (!there && $('unregister-dialog').open) $('unregister-dialog').close();
    $('registration').hidden = false;
    registrations.remember(attendee.attendeeId, { email: attendee.email, ended: !there });
    renderRegistrations();
    settle();
}

/// Announces the awaited command once the page shows it, whether a GET or the stream brought it.
function settle() {
    const { version, awaited } = current;
    if (!awaited || version < awaited.version) return;
    current.awaited = null;
    const waited = Math.round(performance.now() - awaited.started);
    $('last-command').textContent = `The last command became version ${awaited.version}, at position ` +
        `${awaited.position} of the log, and was read back after ${waited} ms.`;
    say('good', awaited.done);
}

function streamState(state) {
    $('stream-state').dataset.state = state;
    $('stream-state').textContent = { live: 'Live', off: 'Connecting…' }[state];
}

/// Follows the attendee. The browser reconnects a broken stream by itself, but gives up on a refused one: that is ours.
function follow(delay = 2) {
    if (!current || current.stream) return;
    const mine = current;
    const stream = mine.stream = new EventSource(attendeePath(mine.id, '/stream'));
    streamState('off');
    stream.addEventListener('open', () => {
        if (mine !== current) return;
        delay = 2;
        streamState('live');
        reached(true);
    });
    stream.addEventListener('attendee', (message) => {
        if (mine !== current) return;
        const { attendee, events } = JSON.parse(message.data);
        renderAttendee(attendee);
        renderEvents(events);
    });
    stream.addEventListener('error', () => {
        if (mine !== current) return stream.close();
        streamState('off');
        if (stream.readyState !== EventSource.CLOSED) return reached(false);
        mine.stream = null;
        mine.timer = setTimeout(() => mine === current && follow(Math.min(delay * 2, 30)), delay * 1000);
    });
}

async function load(id, position) {
    const query = position === undefined ? '' : `position=${position}`;
    const attendee = await api(attendeePath(id, `?${query}`));
    const events = [];
    for (let after = 0; after !== null;) {
        const page = await api(attendeePath(id, `/history?after=${after}&${query}`));
        events.push(...page.events);
        after = page.next;
    }
    choose(id);
    renderAttendee(attendee);
    renderEvents(events);
    follow();
}

/// Shows a registration, and goes there.
async function show(id) {
    await load(id);
    say('good');
    arrive();
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
    say('wait', 'Saved. It will show here in a moment…');
    for (let tries = 1; current?.awaited; ++tries) { // the stream may be faster
        const lag = await load(attendeeId, position).catch((error) => error);
        if (!lag || !current?.awaited) break;
        if (tries === 3 || !undecided(lag)) {
            say('wait', 'Saved. It takes longer than usual to show here, and will do so by itself.');
            follow();
            break;
        }
        await pause(lag.retryAfter ?? 2);
    }
    if ([focused, document.body].includes(document.activeElement)) arrive();
}

function arrive() {
    if ($('view-attendee').hidden) return;
    $('my-title').focus({ preventScroll: true });
    $('my-registration').scrollIntoView();
}

onSubmit($('register-form'), 'Please enter your email address.', async ({ email }) => {
    const first = registrations.list().length === 0;
    const done = first ? 'You are in. See you in Gdańsk!'
        : 'You are in. The earlier registration stays on this device, too: see below.';
    await act('/api/attendee/register', { body: { email } }, done, () => $('register-form').reset());
});

onSubmit($('change-email-form'), 'Please enter the new email address.', async ({ email }) => {
    await act(attendeePath(current.id, '/email'), { body: { email } },
        'A mail is on its way to the new address. Please confirm it with the link there.',
        () => $('change-email-form').reset());
});

/// Another device may have confirmed it meanwhile, or asked for another address: that is no error of this person's.
async function outcomeOf(confirmation, error) {
    const { state } = await api(confirmationPath(confirmation)).catch(() => ({}));
    if (!decided[state]) throw error;
    await load(current.id);
    say(...decided[state]);
}

onSubmit($('confirm-form'), 'Please enter the confirmation id from the mail.', async ({ confirmationId }) => {
    const id = lastPart(confirmationId); // the whole link may be pasted
    try {
        await act(attendeePath(current.id, `/email/${encodeURIComponent(id)}`), {}, 'Your new address is confirmed.',
            () => $('confirm-form').reset());
    } catch (error) {
        if (error.status !== 400) throw error;
        await outcomeOf(id, error);
    }
});

onSubmit($('unregister-form'), 'Please say why you can’t come.', async ({ reason }) => {
    await act(attendeePath(current.id), { method: 'DELETE', body: { reason } },
        'Your seat is given back. Thank you for telling us.', () => $('unregister-dialog').close());
});

$('unregister-open').addEventListener('click', () => $('unregister-dialog').showModal());
$('unregister-cancel').addEventListener('click', () => $('unregister-dialog').close());

onSubmit($('lookup-form'), 'Please paste the link of your registration.', async ({ attendeeId }) => {
    const id = lastPart(attendeeId);
    const flaw = flawOf(id);
    if (flaw) throw new Problem(400, { detail: flaw, errors: [{ field: 'attendeeId', detail: flaw }] });
    await show(id);
    $('lookup-form').reset();
    $('lookup').open = false;
});

// The key: its link can be copied, and is shown once more before it is forgotten.
const dialog = $('forget-dialog');
const [shownLink, dialogLink] = [$('registration-link'), dialog.querySelector('input')];
copyButton($('copy-link'), shownLink, document.querySelector('[data-testid=copy-status]'));
copyButton(dialog.querySelector('.copy button'), dialogLink, dialog.querySelector('[role=status]'));
for (const field of [shownLink, dialogLink]) field.addEventListener('focus', () => field.select());

function askToForget(id) {
    dialog.dataset.id = id;
    dialogLink.value = linkTo(id);
    dialog.showModal();
    $('forget-cancel').focus();
}

$('forget').addEventListener('click', () => askToForget(current.id));
$('forget-cancel').addEventListener('click', () => dialog.close());
$('forget-confirm').addEventListener('click', () => {
    dialog.close();
    registrations.forget(dialog.dataset.id);
    if (current?.id === dialog.dataset.id) leave();
    renderRegistrations();
    say('good', 'Forgotten on this device. The registration itself stands.');
    arrive();
});

/// Opens the registration that a link leads to, and takes its key out of the address bar: screens are seen by others.
export async function openLink(link) {
    const id = lastPart(link);
    const flaw = flawOf(id);
    try {
        if (flaw) throw new Problem(400, { detail: flaw });
        await show(id);
        history.replaceState(null, '', '#my-registration');
    } catch (error) {
        say('bad', error.status === 404 ? 'No registration is known under this link.' : sentence(error));
        offerRetry($('registration-notice'), error, () => openLink(link));
        restore(true);
        arrive();
    }
}

/// Shows the registration that this device showed last. If that fails it says so, unless it is `quiet`.
export async function restore(quiet = false) {
    renderRegistrations();
    const id = registrations.list()[0]?.id;
    if (!id || current) return;
    try {
        await load(id);
        if (!quiet) say('good');
    } catch (error) {
        if (current || quiet) return;
        const unknown = error.status === 404;
        say('bad', unknown ? 'The registration that this device remembers is not known here, or not yet.'
            : 'The registration that this device remembers can’t be shown just now.');
        offerRetry($('registration-notice'), unknown ? new Unreachable() : error, () => restore());
        reveal($('registration-notice'));
    }
}
