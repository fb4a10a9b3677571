// Copyright the escqrs authors. Distributed under the Boost Software License, Version 1.0.
// Forms: errors next to their fields, one run at a time, and a button that shows what it is doing.
import { Problem, undecided } from './api.js';
import { $, element, reveal } from './dom.js';
import { sentence } from './words.js';

export function setBusy(button, busy) {
    button.setAttribute('aria-disabled', String(busy)); // stays focusable, unlike disabled
    button.toggleAttribute('data-busy', busy);
}

/// Puts a retry button after `place`, where there is no form; it stays shut for as long as the server asked for.
export function offerRetry(place, error, again) {
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
        $('main').focus({ preventScroll: true });
        again();
    });
}

const errorPlace = (form) => $(form.id.replace(/form$/, 'error'));

/// Shows what went wrong next to the field that it concerns and moves there; any other error leaves the focus alone.
export function showError(form, error) {
    const place = errorPlace(form);
    const named = (error?.errors ?? []).filter((entry) => form.elements.namedItem(entry.field ?? ''));
    const texts = named.map((entry) => entry.detail || error.message);
    place.textContent = !error ? '' : texts.length ? [...new Set(texts)].join(' ') : sentence(error);
    for (const field of form.elements) {
        if (named.some((entry) => entry.field === field.name)) field.setAttribute('aria-invalid', 'true');
        else field.removeAttribute('aria-invalid');
    }
    form.querySelector('[aria-invalid]')?.focus({ preventScroll: true });
    if (error) reveal(place);
}

/// The submit button of a form while a request has no outcome. A server that is busy says when to come back: the button
/// counts down to it and sends the same again, unless the person cancels, changes what is written, or leaves the form.
class Retry {
    constructor(form, button) {
        const label = button.textContent;
        const cancel = element('button', { type: 'button', class: 'plain cancel', text: 'Cancel',
            'data-testid': `${form.id.replace(/form$/, 'cancel-retry')}` });
        Object.assign(this, { form, button, label, cancel, timer: null, tries: 0 });
        cancel.addEventListener('click', () => { this.stop(); showError(form, null); });
        form.addEventListener('input', () => this.stop());
        form.addEventListener('reset', () => this.stop());
        form.closest('dialog')?.addEventListener('close', () => { this.stop(); showError(form, null); });
    }

    offer(error, again) {
        if (!(error instanceof Problem)) {
            this.button.textContent = 'Try again';
            return;
        }
        let left = Math.max(error.retryAfter, Math.min(2 ** this.tries++, 60)); // ever longer, if nothing changes
        const hadFocus = document.activeElement === this.button;
        errorPlace(this.form).append(' We will try again by ourselves.');
        const tick = () => {
            this.button.textContent = `Trying again in ${left} s`;
            if (left-- > 0) {
                this.timer = setTimeout(tick, 1000);
            } else {
                this.stop();
                again();
            }
        };
        this.button.disabled = true;
        this.button.after(this.cancel);
        if (hadFocus) this.cancel.focus({ preventScroll: true });
        reveal(this.button);
        tick();
    }

    stop() {
        clearTimeout(this.timer);
        const hadFocus = document.activeElement === this.cancel;
        this.button.disabled = false;
        this.button.textContent = this.label;
        this.cancel.remove();
        if (hadFocus) this.button.focus({ preventScroll: true });
    }
}

/// Runs `action` with the form's trimmed values; its errors are shown in the form.
export function onSubmit(form, missing, action) {
    const button = form.querySelector('[type=submit]');
    const retry = new Retry(form, button);
    const run = async () => {
        if (button.disabled || button.hasAttribute('data-busy')) return;
        retry.stop();
        showError(form, null);
        const empty = [...form.elements].find((field) => field.required && !field.value.trim());
        if (empty) return showError(form, { errors: [{ field: empty.name, detail: missing }] });
        setBusy(button, true);
        try {
            await action(Object.fromEntries([...new FormData(form)].map(([name, text]) => [name, text.trim()])));
        } catch (error) {
            showError(form, error);
            if (undecided(error)) retry.offer(error, run);
        } finally {
            setBusy(button, false);
        }
    };
    form.addEventListener('submit', (event) => {
        event.preventDefault();
        retry.tries = 0;
        run();
    });
    form.addEventListener('input', (event) => event.target.removeAttribute('aria-invalid'));
    return run;
}
