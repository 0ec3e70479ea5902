// A question and its answer in the page. Text goes in as text; the page is written to at most once per frame.

import { endWords, errorWords, phaseWords } from './words.js';
import { Writer } from './writer.js';

const LANG = document.documentElement.lang;

export class Exchange {
  #t;
  #follow;
  #writer;
  #part;

  constructor(root, prompt, t, follow) {
    this.root = root;
    this.prompt = prompt;
    this.#t = t;
    this.#follow = follow;
    this.#part = (name) => root.querySelector(`[data-${name}]`);
    this.#writer = new Writer((change) => follow.keep(change));
    this.#part('question').textContent = prompt;
    this.#part('stop-hint').remove();
  }

  /** Empty the answer for a new one. */
  begin() {
    this.#writer.reset(this.#part('answer'), this.#part('reasoning-text'));
    this.#part('reasoning').hidden = true;
    this.root.dataset.state = 'running';
    this.#show('error-text', 'error', '');
  }

  /** Append what came. */
  write({ content, reasoning }) {
    if (reasoning) this.#part('reasoning').hidden = false;
    this.#writer.write(this.#part('reasoning-text'), reasoning);
    this.#writer.write(this.#part('answer'), content);
  }

  /** Show a phase; gives its words. */
  phase(phase) {
    const words = phaseWords(phase, this.#t);
    if (words) this.#show('state', 'state', words);
    return words;
  }

  /** Show how the answer ended; gives the words for it. */
  end(end) {
    this.#writer.flush();
    const words = endWords(end, this.#t, LANG);
    const error = errorWords(end, this.#t, LANG, navigator.onLine);
    this.#follow.keep(() => {
      this.root.dataset.state = end.state;
      this.#show('state', 'state', words);
      this.#show('error-text', 'error', error);
    });
    return error || words;
  }

  #show(text, box, words) {
    this.#part(text).textContent = words;
    this.#part(box).hidden = !words;
  }
}
