// The dialog of a conversation that is shared: its link, and the way to take it back.

import { copyText } from '../copy.js';

export class ShareDialog {
  onRevoke = () => {}; // gives a promise of what is to be said
  #root;
  #t;

  constructor(root, t) {
    this.#root = root;
    this.#t = t;
    this.#part('copy').addEventListener('click', () => this.#copy());
    this.#part('revoke').addEventListener('click', () => this.#revoke());
    root.addEventListener('keydown', (event) => event.stopPropagation()); // Escape closes the dialog, and stops no answer
  }

  /** Show a link, copied already if the browser lets us. */
  show(path) {
    this.#part('link').value = new URL(path, location.href);
    this.#say('');
    this.#root.showModal();
    return this.#copy();
  }

  async #copy() {
    const link = this.#part('link');
    const copied = await copyText(link.value);
    if (!copied) link.select();
    this.#say(this.#t(copied ? 'share.say.copied' : 'share.say.selected'));
  }

  async #revoke() {
    if (await this.onRevoke()) this.#root.close();
  }

  #say(words) {
    this.#part('said').textContent = words;
  }

  #part(name) {
    return this.#root.querySelector(`[data-${name}]`);
  }
}
