// How long a phase has taken, counted up second by second.

import { duration } from './numbers.js';

const FIRST_S = 1; // what is shorter is not worth a word

export class Elapsed {
  #element;
  #lang;
  #timer;

  constructor(element, lang) {
    this.#element = element;
    this.#lang = lang;
  }

  /** Count from now on. */
  begin() {
    this.stop();
    const begun = performance.now();
    this.#timer = setInterval(() => this.#show((performance.now() - begun) / 1000), 1000);
  }

  stop() {
    clearInterval(this.#timer);
    this.#element.textContent = '';
  }

  #show(seconds) {
    if (seconds >= FIRST_S) this.#element.textContent = duration(seconds, this.#lang);
  }
}
