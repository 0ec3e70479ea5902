// Pure: what a reader of one answer has applied so far. The sequence numbers alone decide what is new.

import { isWhole } from './proof.js';

/** An event that does not follow the last one: what lies between must be read first. */
export class Gap extends Error {
  constructor(last, seq) {
    super(`event ${seq} came after event ${last}`);
  }
}

export class Progress {
  seq = 0; // of the last event applied
  content = '';
  reasoning = '';
  end = null; // what `done` says

  constructor(known) {
    Object.assign(this, known);
  }

  /**
   * Apply an event; gives the change that it makes, or null if it was applied before or makes none. Throws a Gap.
   * A `reset` holds the whole text up to its number, so it counts wherever it stands.
   */
  take({ event = 'message', data, id = '' }) {
    const seq = Number(/:(\d+)$/.exec(id)?.[1] ?? 0);
    if (!seq || (seq <= this.seq && event !== 'reset')) return null;
    if (seq > this.seq + 1 && event !== 'reset') throw new Gap(this.seq, seq);
    this.seq = seq;
    return this.#apply(event, parsed(data));
  }

  /** Say if the answer has ended and nothing of it is missing. */
  async isWhole() {
    return Boolean(this.end) && isWhole(this.content, this.end);
  }

  /** Replace the whole text; gives the change. */
  replace({ content, reasoning }) {
    this.content = text(content);
    this.reasoning = text(reasoning);
    return { type: 'reset', content: this.content, reasoning: this.reasoning };
  }

  /** End with what the server has kept; gives the change. Throws if the answer still runs. */
  settle({ content, reasoning, ...end }) {
    this.end = end.state === 'running' ? null : { ...this.end, ...end };
    if (!this.end) throw new Error('the answer goes on');
    return this.replace({ content, reasoning });
  }

  #apply(event, value) {
    if (event === 'message') return this.#append(text(value.content), text(value.reasoning));
    if (event === 'reset') return this.replace(value);
    if (event === 'phase') return { type: 'phase', phase: text(value.phase) };
    if (event === 'open') return { ...value, type: 'open' };
    if (event === 'done') this.end = { ...value, state: text(value.state) || 'interrupted' };
    return null;
  }

  #append(content, reasoning) {
    this.content += content;
    this.reasoning += reasoning;
    return { type: 'text', content, reasoning };
  }
}

function text(value) {
  return typeof value === 'string' ? value : '';
}

function parsed(data) {
  try {
    return Object(JSON.parse(data));
  } catch {
    return {};
  }
}
