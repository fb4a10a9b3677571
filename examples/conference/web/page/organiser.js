// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// The organiser's view: the attendees page by page, and the messages that the worker gave up on.
import { Problem, api, command } from './api.js';
import { tab } from './device.js';
import { $, address, element, notice, time, value } from './dom.js';
import { offerRetry, onSubmit, setBusy, showError } from './forms.js';
import { events as titles, reasons, sentence } from './words.js';

/// The organiser's session; `cursors` holds one for each page turned so far.
const organiser = {
    token: tab.get('organiserToken'), running: 0, work: null, next: null, cursors: [''], letters: [], shown: '',
};

const most_letters = 200; // that the server lists
const reload_every = 15; // seconds

const bearer = () => ({ Authorization: `Bearer ${organiser.token}` });
const count = (number, one, many) => `${number.toLocaleString('en-GB')} ${number === 1 ? one : many}`;

function attendeeRow(attendee) {
    const cell = (label, ...content) =>
        element('td', { role: 'cell', 'data-label': label }, element('div', {}, ...content));
    const pending = attendee.pendingEmail
        ? [element('p', { class: 'hint' }, 'asked for ', address(attendee.pendingEmail))] : [];
    const reason = attendee.reason ? [element('p', { class: 'hint' }, value(attendee.reason))] : [];
    return element('tr', { role: 'row', 'data-testid': `attendee-row-${attendee.attendeeId}` },
        cell('Email', address(attendee.email), ...pending),
        cell('Seat', element('span', { text: attendee.status === 'registered' ? 'taken' : 'given back',
            'data-status': attendee.status }), ...reason),
        cell('Registered', time(attendee.registeredAt)),
        cell('Id', element('code', { text: attendee.attendeeId })));
}

function deadLetterItem(letter) {
    const id = letter.messageId;
    const fact = (name, content) => element('div', {}, element('dt', { text: name }), element('dd', {}, content));
    const button = element('button', { type: 'button', 'data-testid': `resubmit-${id}`, text: 'Resubmit',
        'aria-label': `Resubmit message ${id}` });
    const problem = element('p', { class: 'error', role: 'alert', 'data-testid': `resubmit-error-${id}` });
    const resubmit = () => whileBusy(button, problem, resubmit, async () => {
        await command(resubmission(id), { headers: bearer() });
        notice($('dead-notice'), 'good', 'Resubmitted ', value(id), '.');
        $('dead-title').focus();
        await load();
    });
    button.addEventListener('click', resubmit);
    const about = letter.subject ? [value(titles[letter.subject] ?? letter.subject), ' · '] : [];
    return element('li', { 'data-testid': `dead-letter-${id}` },
        element('h3', { text: reasons[letter.reason] ?? 'This message could not be handled.' }),
        element('p', { class: 'hint' }, ...about, 'sent ', time(letter.enqueuedAt), ' · given up ',
            time(letter.deadLetteredAt), ' after ', count(letter.deliveryCount, 'attempt', 'attempts')),
        button, problem,
        element('details', { class: 'developers' }, element('summary', { text: 'For developers' }),
            element('dl', {}, fact('Reason', value(letter.reason)), fact('Description', value(letter.description)),
                fact('Message id', element('code', {}, value(id))),
                fact('Type', element('code', {}, value(letter.subject))),
                fact('Session', element('code', {}, value(letter.sessionId)))),
            element('pre', { tabindex: '0', 'aria-label': 'Body', text: letter.body })));
}

const resubmission = (id) => `/api/dead-letters/${encodeURIComponent(id)}/resubmit`;

/// Loads the page of attendees at the last cursor, and the dead letters. What has not changed stays as it is.
async function load() {
    const { cursors, token } = organiser;
    const headers = bearer();
    const page = `/api/attendees?limit=20&after=${encodeURIComponent(cursors.at(-1))}`;
    const answers = [];
    for (const path of [page.replace(/&after=$/, ''), '/api/dead-letters']) { // a wrong token is tried once
        answers.push(await api(path, { headers }));
    }
    if (organiser.token !== token) return; // signed out meanwhile
    $('organiser-loaded').replaceChildren('Loaded at ', new Date().toLocaleTimeString('en-GB'));
    const text = JSON.stringify(answers);
    if (text !== organiser.shown) render(...answers);
    organiser.shown = text;
    $('organiser-form').hidden = true;
    $('organiser-panel').hidden = false;
}

function render({ attendees, next, total, registered }, { deadLetters }) {
    Object.assign(organiser, { next, letters: deadLetters.map((letter) => letter.messageId) });
    $('attendees-count').textContent = total.toLocaleString('en-GB');
    $('attendees-seats').textContent = total ? `${count(registered, 'seat', 'seats')} taken, ` +
        `${(total - registered).toLocaleString('en-GB')} given back` : '';
    $('attendees-table').tBodies[0].replaceChildren(...attendees.map(attendeeRow));
    $('attendees-none').hidden = attendees.length > 0;
    $('attendees-table').hidden = attendees.length === 0;
    $('attendees-pager').hidden = organiser.cursors.length === 1 && !next;
    $('attendees-page').textContent = `Page ${organiser.cursors.length}`;
    $('attendees-previous').disabled = organiser.cursors.length === 1;
    $('attendees-next').disabled = !next;
    const many = deadLetters.length >= most_letters;
    $('dead-count').textContent = `${deadLetters.length}${many ? ' or more' : ''}`;
    $('dead-hint').hidden = $('resubmit-all').hidden = deadLetters.length === 0;
    $('dead-none').hidden = deadLetters.length > 0;
    $('dead-letters').replaceChildren(...deadLetters.map(deadLetterItem));
}

/// Runs `action` after those that were begun before. What goes wrong shows at `place`, or at the token if that is no
/// longer accepted.
async function whileBusy(button, place, again, action) {
    if (button?.hasAttribute('data-busy')) return;
    if (button) setBusy(button, true);
    organiser.running += 1;
    const earlier = organiser.work;
    let finish;
    organiser.work = new Promise((done) => { finish = done; });
    await earlier;
    place.textContent = '';
    offerRetry(place, null);
    try {
        await action();
    } catch (error) {
        if (error.status === 401) return signOut(error);
        place.textContent = sentence(error);
        offerRetry(place, error, again);
    } finally {
        organiser.running -= 1;
        finish();
        if (button) setBusy(button, false);
    }
}

/// Loads the panel again, after `turn` may have gone to another page.
function refresh(button, turn = () => {}) {
    return whileBusy(button, $('organiser-panel-error'), () => refresh(button), () => {
        turn();
        return load();
    });
}

/// Gives back all dead letters that are listed, one after the other. One that cannot be given back keeps no other back.
function resubmitAll() {
    return whileBusy($('resubmit-all'), $('dead-error'), resubmitAll, async () => {
        const ids = organiser.letters;
        const refused = new Set();
        for (const [index, id] of ids.entries()) {
            notice($('dead-notice'), 'wait', `Resubmitting ${index + 1} of ${ids.length}…`);
            await command(resubmission(id), { headers: bearer() }).catch((error) => {
                if (error.status === 404) return; // another organiser was faster
                if (![400, 409].includes(error.status)) throw error;
                refused.add(id);
            });
        }
        const taken = ids.length - refused.size;
        notice($('dead-notice'), refused.size ? 'bad' : 'good', `Resubmitted ${count(taken, 'message', 'messages')}.`,
            refused.size ? ` ${count(refused.size, 'message', 'messages')} could not be resubmitted.` : '');
        $('dead-title').focus();
        await load();
    }).finally(() => { if ($('dead-error').textContent) notice($('dead-notice'), 'good'); });
}

function signOut(error = null) {
    tab.remove('organiserToken');
    Object.assign(organiser, { token: null, cursors: [''], letters: [], shown: '' });
    $('attendees-table').tBodies[0].replaceChildren();
    $('dead-letters').replaceChildren();
    notice($('dead-notice'), 'good');
    $('organiser-panel').hidden = true;
    $('organiser-form').hidden = false;
    $('organiser-form').reset();
    $('organiser-token').focus();
    showError($('organiser-form'),
        error && { errors: [{ field: 'token', detail: 'This token was not accepted. Please check it.' }] });
}

const signIn = onSubmit($('organiser-form'), 'Please enter the organiser token.', async ({ token }) => {
    organiser.token = token;
    try {
        if (!/^[\x21-\x7e]+$/.test(token)) throw new Problem(401, null, 0); // no such text fits into a header
        await load();
        tab.set('organiserToken', token);
        $('organiser-form').reset();
        $('organiser-title').focus();
    } catch (error) {
        if (error.status !== 401) throw error;
        signOut(error);
    }
});

export function openOrganiser() {
    if (!$('organiser-panel').hidden) {
        refresh($('organiser-refresh'));
    } else if (organiser.token) {
        $('organiser-token').value = organiser.token;
        signIn();
    }
}

$('organiser-sign-out').addEventListener('click', () => signOut());
$('organiser-refresh').addEventListener('click', () => refresh($('organiser-refresh')));
$('resubmit-all').addEventListener('click', resubmitAll);
$('attendees-next').addEventListener('click',
    () => refresh($('attendees-next'), () => organiser.cursors.push(organiser.next)));
$('attendees-previous').addEventListener('click',
    () => refresh($('attendees-previous'), () => organiser.cursors.pop()));

// By itself, unless the page is hidden, or the person reads or is about to press something in the list of dead letters.
setInterval(() => {
    const list = $('dead-letters');
    if (document.hidden || $('organiser-refresh').offsetParent === null || organiser.running) return;
    if (list.contains(document.activeElement) || list.querySelector('details[open]')) return;
    refresh(null);
}, reload_every * 1000);
