// One answer and two readers of its journal: begin it, stop it, continue it, and see that both read the same.

import { oncePerFrame } from './follow.js';
import { Reader } from './reader.js';
import { soFar, verdict } from './verdict.js';

export class Journal {
  #root;
  #say;
  #readers;
  #follow;
  #changed = oncePerFrame(() => this.#compare());

  constructor(root, say, rowTemplate) {
    this.#root = root;
    this.#say = say;
    this.#follow = root.querySelector('[data-follow]');
    this.#readers = [...root.querySelectorAll('[data-reader]')].map((each) => new Reader(each, say, rowTemplate));
    for (const reader of this.#readers) reader.onChange = this.#changed;
    this.#listen('begin', ({ prompt, model }) => this.#begin({ prompt: prompt.value, model: model.value }));
    this.#listen('follow', () => this.#read());
    for (const button of root.querySelectorAll('[data-tell]')) {
      button.addEventListener('click', () => this.#tell(button.dataset.tell));
    }
  }

  get #answer() {
    return this.#follow.elements.answer.value.trim();
  }

  async #begin(question) {
    const begun = await this.#post('/api/answers', question);
    if (!begun) return;
    this.#follow.elements.answer.value = begun.answer;
    this.#read();
  }

  /** Have both read from the beginning. */
  #read() {
    if (!this.#answer) return this.#follow.elements.answer.focus();
    this.#readers.forEach((reader) => reader.follow(this.#answer));
    this.#compare();
  }

  /** Stop the answer, which both see, or have it go on, which both then follow. */
  async #tell(verb) {
    if (!this.#answer) return this.#follow.elements.answer.focus();
    const told = await this.#post(`/api/answers/${encodeURIComponent(this.#answer)}/${verb}`, {});
    if (told && verb === 'continue') this.#readers.forEach((reader) => (reader.end ? reader.resume() : reader));
  }

  /** Send, and show the receipt; gives what it says, or null if it was refused. */
  async #post(path, values) {
    const init = { method: 'POST', headers: { 'Content-Type': 'application/json', Accept: 'application/json' }, body: JSON.stringify(values) };
    try {
      const response = await fetch(path, init);
      const text = await response.text();
      this.#show('receipt', `POST ${path} → ${response.status}\n${text.trim()}`);
      return response.ok ? JSON.parse(text) : null;
    } catch (error) {
      return this.#show('receipt', `POST ${path} → ${error.message}`);
    }
  }

  async #compare() {
    this.#show('so-far', this.#say('playground.say.so_far', soFar(this.#readers)));
    const found = await verdict(this.#readers);
    this.#root.dataset.same = String(found?.same ?? '');
    this.#show('verdict', found ? this.#say(found.same ? 'playground.say.same' : 'playground.say.not_same', found) : '');
  }

  #listen(name, act) {
    const form = this.#root.querySelector(`[data-${name}]`);
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      act(form.elements);
    });
  }

  #show(name, words) {
    this.#root.querySelector(`[data-${name}]`).textContent = words;
    return null;
  }
}
