// A question and its answer in the page. Text goes in as text; the page is written to at most once per frame.

import { endWords, errorWords, phaseWords } from './words.js';
import { Writer } from './writer.js';

const LANG = document.documentElement.lang;

export class Exchange {
  #t;
  #writer;
  #part;

  constructor(root, prompt, t, follow) {
    this.root = root;
    this.prompt = prompt;
    this.#t = t;
    this.#part = (name) => root.querySelector(`[data-${name}]`);
    this.#writer = new Writer((change) => follow.keep(change));
    this.#part('question').textContent = prompt;
    this.#part('stop-hint').remove();
  }

  /** Empty the answer for a new one. */
  begin() {
    this.#writer.reset(this.#part('answer'), this.#part('reasoning-text'));
    this.#part('reasoning').hidden = true;
    this.#part('error').hidden = true;
    this.#part('retry').hidden = true;
    this.root.dataset.state = 'running';
  }

  /** Append what came. */
  write({ content, reasoning }) {
    if (reasoning) this.#part('reasoning').hidden = false;
    this.#writer.write(this.#part('reasoning-text'), reasoning);
    this.#writer.write(this.#part('answer'), content);
  }

  /** Show a phase; gives its words. */
  phase(phase) {
    return this.#say(phaseWords(phase, this.#t));
  }

  /** Show how the answer ended; gives the words for it. */
  end(end) {
    this.#writer.flush();
    this.root.dataset.state = end.state;
    const error = errorWords(end, this.#t, LANG, navigator.onLine);
    this.#part('error').textContent = error;
    this.#part('error').hidden = !error;
    this.#part('retry').hidden = !error && end.state !== 'interrupted';
    return `${this.#say(endWords(end, this.#t, LANG))} ${error}`.trim();
  }

  #say(words) {
    if (words) this.#part('state').textContent = words;
    return words;
  }
}
