// Single keys that do something, outside of fields; a dialog lists them, and can switch them off (WCAG 2.1.4).

import { attempt } from './kept.js';
import { shortcutOf } from './keys.js';

const OFF = 'talkabout.keys'; // in all tabs, and for good

export class Shortcuts {
  #dialog;
  #actions;
  #on;

  /** `opener` is the button for those who do not know of `?`. */
  constructor(dialog, opener, actions) {
    this.#dialog = dialog;
    this.#actions = { ...actions, help: () => dialog.showModal() };
    this.#on = dialog.querySelector('[data-keys-on]');
    this.#on.checked = attempt(() => localStorage.getItem(OFF)) !== 'off';
    this.#on.addEventListener('change', () => attempt(() => localStorage.setItem(OFF, this.#on.checked ? 'on' : 'off')));
    opener.addEventListener('click', () => dialog.showModal());
    opener.disabled = false; // until now a press would have been lost
    dialog.querySelector('[data-close]').addEventListener('click', () => dialog.close());
    addEventListener('keydown', (event) => this.#press(event));
  }

  #press(event) {
    const action = this.#on.checked && !document.querySelector('dialog[open]') && this.#actions[shortcutOf(event)];
    if (!action) return;
    event.preventDefault();
    action();
  }
}
