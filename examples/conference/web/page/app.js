// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// Which view is shown: the hash of the address says so.
import { openConfirmation } from './confirmation.js';
import { $ } from './dom.js';
import { openOrganiser } from './organiser.js';
import { openLink, restore } from './registration.js';

const titles = { attendee: document.title, organiser: 'Organiser · FOLD 2027', confirmation: 'Confirm · FOLD 2027' };

function showView(shown) {
    for (const name of Object.keys(titles)) $(`view-${name}`).hidden = name !== shown;
    document.title = titles[shown];
}

function arriveAt(title) {
    window.scrollTo(0, 0);
    $(title).focus();
}

function route() {
    const { hash } = location;
    const [, link, id] = /^#(confirm|registration)=(?:.*\/)?(.*)$/.exec(hash) ?? []; // earlier links had two ids
    const wasHidden = $('view-attendee').hidden;
    if (link === 'confirm') {
        showView('confirmation');
        arriveAt('confirmation-title');
        openConfirmation(id);
    } else if (hash === '#organiser') {
        showView('organiser');
        openOrganiser();
        arriveAt('organiser-title');
    } else {
        showView('attendee');
        if (link) return openLink(id);
        if (wasHidden) $(hash.slice(1) || 'top')?.scrollIntoView(); // the browser could not: the view was hidden
        restore();
    }
}

function showConnection(isReached) {
    $('connection').textContent = isReached ? '' : 'The server can’t be reached. What you see may be out of date.';
}

$('skip').addEventListener('click', (event) => {
    event.preventDefault(); // the address's hash says which view is shown
    $('main').focus();
});
window.addEventListener('hashchange', route);
window.addEventListener('reached', (event) => showConnection(event.detail));
window.addEventListener('online', () => showConnection(true));
window.addEventListener('offline', () => showConnection(false));
route();
