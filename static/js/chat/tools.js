// What can be done with a question and its answer: edit, copy, ask again, with another model too.

import { copyText } from '../copy.js';
import { bindMenu } from './menu.js';

const SEEN_MS = 2000;

export class Tools {
  onEdit = () => {}; // with the new question
  onAgain = () => {}; // with a model, or none: the same
  onSay = () => {};
  #exchange;
  #edit;
  #t;
  #part;

  constructor(exchange, edit, t) {
    this.#exchange = exchange;
    this.#edit = edit;
    this.#t = t;
    this.#part = (name) => exchange.root.querySelector(`[data-${name}]`);
    exchange.root.querySelectorAll('[data-tools]').forEach((tools) => (tools.hidden = false));
    this.#listen();
  }

  /** Change the question in its place. */
  async edit() {
    const question = this.#part('question');
    if (question.hidden) return;
    const changed = await this.#edit(question, this.#exchange.prompt);
    this.#part('edit').focus({ preventScroll: true });
    if (changed !== null) this.onEdit(changed);
  }

  /** Copy the answer. */
  copy() {
    return this.#copy(this.#part('copy-answer'), this.#exchange.text);
  }

  #listen() {
    const listen = (name, act) => this.#part(name).addEventListener('click', instead(act));
    listen('edit', () => this.edit());
    listen('copy-question', () => this.#copy(this.#part('copy-question'), this.#exchange.prompt));
    listen('copy-answer', () => this.copy());
    listen('again', () => this.onAgain());
    bindMenu(this.#part('models'), (model) => this.onAgain(model));
  }

  async #copy(button, text) {
    const words = this.#t((await copyText(text)) ? 'message.copied' : 'message.not_copied');
    button.dataset.words ??= button.textContent;
    button.textContent = words;
    setTimeout(() => (button.textContent = button.dataset.words), SEEN_MS);
    this.onSay(words);
  }
}

/** Do something instead of what the form would do, which is there for those without scripts. */
export function instead(act) {
  return (event) => {
    event.preventDefault();
    act();
  };
}
