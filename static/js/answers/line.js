// The connection, tried again and again: one try or one pause at a time, and what cuts either short.

import { waitS } from './backoff.js';
import { onWake, sleep } from './wake.js';

export class Line {
  closed = false;
  losses = 0; // since it last worked
  #life = new AbortController();
  #step = new AbortController(); // of the try or the pause that runs
  #woken = false;
  #pausing = false;
  #held = false; // the server has said when to come again

  constructor(signal) {
    onWake(() => this.#wake(), this.#life.signal);
    signal?.addEventListener('abort', () => this.close(), { signal: this.#life.signal });
    if (signal?.aborted) this.close();
  }

  /** Begin a try, which `signal` ends. */
  open() {
    this.#step = new AbortController();
    this.#woken = false;
  }

  get signal() {
    return this.#step.signal;
  }

  /** Give up the try that runs. */
  abort() {
    this.#step.abort();
  }

  /** End the pause that runs, if one does. */
  hurry() {
    if (this.#pausing) this.#step.abort();
  }

  /** Something came: the next loss counts as the first. */
  works() {
    this.losses = 0;
  }

  /** After a loss: how long to pause, in seconds; 0 if the page has just come back to life. */
  lost({ retryAfterS = null }) {
    this.#held = Boolean(retryAfterS);
    return this.#woken ? 0 : waitS(this.losses++, retryAfterS);
  }

  async pause(seconds) {
    this.#step = new AbortController();
    this.#pausing = true;
    if (seconds && !this.closed) await sleep(seconds, this.signal);
    this.#pausing = this.#held = false;
  }

  close() {
    this.closed = true;
    this.#life.abort();
    this.#step.abort();
  }

  #wake() {
    this.#woken = true;
    if (!this.#held) this.#step.abort();
  }
}
