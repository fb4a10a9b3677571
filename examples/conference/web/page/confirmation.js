// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// The page that the link in a confirmation mail opens. It needs no registration: the reader may be a stranger.
import { api, command, confirmationPath } from './api.js';
import { $, address, notice } from './dom.js';
import { offerRetry, onSubmit } from './forms.js';
import { decided, flawOf, sentence } from './words.js';

let linked = null; // the confirmation id of the link that was opened

function say(tone, ...content) {
    notice($('confirmation-notice'), tone, ...content);
    offerRetry($('confirmation-notice'), null);
}

/// Shows what a link in a mail is for. Only the button confirms: programs that read mails open links, too.
export async function openConfirmation(id) {
    linked = id;
    $('confirmation-form').hidden = true;
    say('good');
    const flaw = flawOf(id);
    if (flaw) return say('bad', flaw);
    try {
        const { email, state } = await api(confirmationPath(id));
        if (linked !== id) return;
        $('confirmation-email').replaceChildren(address(email));
        $('confirmation-form').hidden = state !== 'pending';
        say(...(decided[state] ?? ['good']));
    } catch (error) {
        if (linked !== id) return;
        say('bad', error.status === 404 ? 'This link is not known here. Please check that you have opened it as it ' +
            'stands in the mail.' : sentence(error));
        offerRetry($('confirmation-notice'), error, () => openConfirmation(id));
    }
}

onSubmit($('confirmation-form'), '', async () => {
    const id = linked;
    try {
        const { email } = await command(confirmationPath(id));
        $('confirmation-form').hidden = true;
        say('good', 'Your new address is confirmed: ', address(email));
    } catch (error) {
        if (error.status !== 400) throw error;
        await openConfirmation(id); // it has been replaced or has ended since
    }
    $('confirmation-title').focus();
});
