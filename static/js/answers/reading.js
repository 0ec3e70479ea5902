// Reading an answer, one connection at a time: from the request to the proof that nothing is missing.

import { readEvents } from '../sse.js';
import { SILENCE_MS } from './api.js';

export class Reading {
  there = false; // has the server the answer?
  goingOn = false; // is the server still to be told to go on?
  #settle;
  whenThere = new Promise((resolve) => (this.#settle = resolve)); // false: it never gets it
  #id;
  #api;
  #question;
  #progress;

  constructor(id, api, question, progress) {
    this.#id = id;
    this.#api = api;
    this.#question = question;
    this.#progress = progress;
    if (!question) this.#found();
  }

  ended() {
    this.#settle(false);
  }

  /** Read as far as one connection carries; yields what happens, and gives why it broke off, or nothing at the end. */
  async *try(line) {
    line.open();
    try {
      if (this.goingOn) await this.#goOn(line);
      if (!this.#progress.end) yield* this.#read(line);
      yield* this.#finish(line);
    } catch (error) {
      if (error.final) throw error;
      return error;
    }
  }

  /** If the answer runs (again) already, or cannot, its events tell. */
  async #goOn(line) {
    await this.#api.tell(this.#id, 'continue', line).catch((error) => {
      if (error.status !== 409) throw error;
    });
    this.goingOn = false;
  }

  async *#read(line) {
    const body = await this.#open(line);
    this.#found();
    if (!body) return; // nothing comes any more: what is kept is the end
    if (line.losses && this.#progress.seq) yield { type: 'reconnected' };
    for await (const item of readEvents(body, SILENCE_MS, true)) {
      const change = 'comment' in item ? null : this.#progress.take(item);
      if (change || 'comment' in item) line.works();
      if (change) yield change;
      if (this.#progress.end) return;
    }
    throw new Error('the stream ended before the answer');
  }

  #found() {
    this.there = true;
    this.#settle(true);
  }

  #open(line) {
    if (!this.there) return this.#api.ask(this.#question, line);
    return this.#api.events(this.#id, this.#progress.seq, line);
  }

  /** Prove that the text is whole; if it is not, take the one that is kept. */
  async *#finish(line) {
    const progress = this.#progress;
    const came = await progress.isWhole();
    if (!came) yield progress.settle(await this.#api.kept(this.#id, line));
    const { end, content, reasoning } = progress;
    yield { ...end, type: 'done', content, reasoning, whole: came || (await progress.isWhole()) };
  }
}
