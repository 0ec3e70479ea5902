// A user's channel: what happens to the conversations in other tabs and on other devices, as long as the page is seen.
// Read by fetch, since the browser's EventSource is closed for ever by one 502 of a proxy.

import { SILENCE_MS } from './answers/api.js';
import { Line } from './answers/line.js';
import { refusalOf } from './answers/refusal.js';
import { isEventStream, readEvents } from './sse.js';

const CHANGE = /^conversation\.(\w+)$/;

export class Channel {
  onChange = () => {}; // called with `created`, `changed` or `deleted` and the conversation
  onReset = () => {}; // when something may have been missed
  #address;
  #seen; // the id of the last event

  /** `seen` is the last event that the page knows of; without one, anything may have been missed. */
  constructor(user, seen = '') {
    this.#address = `/sse/connect/${encodeURIComponent(user)}`;
    this.#seen = seen;
  }

  /** Follow the channel, for as long as the server has one for this user. */
  async follow() {
    const line = new Line();
    document.addEventListener('visibilitychange', () => document.hidden && line.abort());
    for (;;) {
      await untilSeen();
      const loss = await this.#read(line).then(() => new Error('the channel ended'), (error) => error);
      if (loss.final) return;
      if (!document.hidden) await line.pause(line.lost(loss));
    }
  }

  async #read(line) {
    const response = await this.#connect(line);
    for await (const item of readEvents(response.body, SILENCE_MS, true)) {
      line.works();
      if (!('comment' in item)) this.#hear(item);
    }
  }

  async #connect(line) {
    line.open();
    const timer = setTimeout(() => line.abort(), SILENCE_MS);
    const headers = { Accept: 'text/event-stream', ...(this.#seen && { 'Last-Event-ID': this.#seen }) };
    const response = await fetch(this.#address, { headers, cache: 'no-store', signal: line.signal }).finally(() => clearTimeout(timer));
    if (isEventStream(response)) return response;
    throw await refusalOf(response);
  }

  #hear({ event = '', data, id }) {
    const first = !this.#seen;
    this.#seen = id || this.#seen;
    const [, change] = CHANGE.exec(event) ?? [];
    if (change) this.onChange(change, parsed(data));
    else if (event === 'reset' || (event === 'open' && first)) this.onReset();
  }
}

function untilSeen() {
  return new Promise((resolve) => {
    if (!document.hidden) return resolve();
    document.addEventListener('visibilitychange', () => resolve(), { once: true });
  });
}

/** Anything may be published on a channel; what is no object tells nothing. */
function parsed(data) {
  try {
    return Object(JSON.parse(data));
  } catch {
    return {};
  }
}
