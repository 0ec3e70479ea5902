// An answer for those who listen: whole sentences as they are finished, in no hurry, and never minutes of them.

import { Sentences } from './sentences.js';

const REST_MS = 4000; // at most one sentence in that time
const MOST_WAITING = 3; // what is older is left out: the text itself stands in the page
const GONE_MS = 10_000; // what was said does not stay in the page

export class Speech {
  #region;
  #code;
  #timers;
  #sentences;
  #waiting = [];
  #timer = 0;

  /** `region` is a live region, `code` what is said in the place of code. */
  constructor(region, code, timers = globalThis) {
    this.#region = region;
    this.#code = code;
    this.#timers = timers;
    this.begin();
  }

  /** An answer begins, or goes on behind a text that was there before. */
  begin() {
    this.#sentences = new Sentences(this.#code);
    this.#waiting = [];
  }

  take(event) {
    if (event.type === 'reset') this.begin();
    if (event.type === 'text') this.#add(this.#sentences.feed(event.content));
    if (event.type === 'done') this.#end();
  }

  #add(sentences) {
    this.#waiting = [...this.#waiting, ...sentences].slice(-MOST_WAITING);
    if (!this.#timer && this.#waiting.length) this.#next();
  }

  #next() {
    const sentence = this.#waiting.shift();
    this.#say(sentence ?? '');
    this.#timer = sentence === undefined ? 0 : this.#timers.setTimeout(() => this.#next(), REST_MS);
  }

  /** What still waits is said together, before others say that the answer is done. */
  #end() {
    const rest = [...this.#waiting, ...this.#sentences.end()].slice(-MOST_WAITING);
    this.begin();
    if (!rest.length) return;
    this.#timers.clearTimeout(this.#timer);
    this.#say(rest.join(' '));
    this.#timer = this.#timers.setTimeout(() => this.#next(), GONE_MS);
  }

  #say(words) {
    this.#region.textContent = words;
  }
}
