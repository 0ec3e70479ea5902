// One answer of a model: asked for, and followed to its end through whatever happens to the connection.
// docs/client.md tells how to use it. It needs fetch and streams; no document, no framework.

import { Api } from './api.js';
import { newId } from './id.js';
import { insist } from './insist.js';
import { Line } from './line.js';
import { Progress } from './progress.js';
import { Reading } from './reading.js';

export class Answer {
  #api;
  #signal;
  #progress;
  #reading;
  #line;
  #stopped = null;

  /** Ask a `prompt`, or follow the `answer` of that id; `known` is what one has of it: {seq, content, reasoning}. */
  constructor({ prompt, files, conversation, parent, model, answer = newId(), known, base = '', token, signal }) {
    const question = prompt === undefined ? null : { prompt, files, conversation, parent, model, answer };
    this.id = answer;
    this.#api = new Api(base, token);
    this.#signal = signal;
    this.#progress = new Progress(known);
    this.#reading = new Reading(answer, this.#api, question, this.#progress);
  }

  /** Yield what happens, `done` last; once more: what happens then. Throws a Refusal; ends early by the signal. */
  async *[Symbol.asyncIterator]() {
    this.#line = new Line(this.#signal);
    try {
      yield* this.#follow(this.#line);
    } finally {
      this.#line.close();
      this.#reading.ended();
    }
  }

  /** Have the model stop; `done` then comes as ever. Gives the server's receipt; throws a Refusal. */
  stop() {
    if (!this.#reading.there) this.#line?.hurry();
    return (this.#stopped ??= this.#tellToStop());
  }

  /** Have the model go on where the text ends; iterate once more to follow it. */
  continue() {
    this.#stopped = null;
    this.#progress.end = null;
    this.#reading.goingOn = true;
    return this;
  }

  async *#follow(line) {
    while (!line.closed) {
      const loss = yield* this.#reading.try(line);
      if (!loss || line.closed) return;
      const seconds = line.lost(loss);
      if (this.#wanted && seconds) yield { type: 'reconnecting', seconds, status: loss.status ?? 0 };
      if (this.#wanted) await line.pause(seconds);
      if (!this.#wanted) return yield { type: 'done', state: 'stopped', content: '', reasoning: '', whole: true };
    }
  }

  /** An answer that is only just being asked for is stopped as soon as the server has it. */
  async #tellToStop() {
    if (!(await this.#reading.whenThere)) return null;
    return insist((line) => this.#api.tell(this.id, 'stop', line), this.#signal);
  }

  /** A question that never reached the server is not asked any more once it is stopped. */
  get #wanted() {
    return this.#reading.there || !this.#stopped;
  }
}
