// Pure: the phases of an answer in words.

import { phaseWords } from './words.js';

export class Phases {
  #t;
  #phase = '';

  constructor(t) {
    this.#t = t;
  }

  /** Enter a phase; gives its words, or nothing if it is the one that runs already. */
  enter(phase) {
    if (phase === this.#phase) return '';
    const recovered = this.#phase === 'recovering' && phase !== 'connecting';
    this.#phase = phase;
    return recovered ? this.#t('live.recovered') : phaseWords(phase, this.#t);
  }
}
