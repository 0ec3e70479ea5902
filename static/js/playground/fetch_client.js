// The article's second client: fetch and AbortController. It sends what it likes, but does not reconnect by itself.

import { isEventStream } from '../sse.js';
import { showCharacters, showEvents } from './read.js';

/** One request at a time, every step of which is shown. */
export class FetchClient {
  #pane;
  #controller = null;

  constructor(pane) {
    this.#pane = pane;
  }

  /** Send the request and show the response as it comes. */
  open(request) {
    const { signal } = (this.#controller = new AbortController());
    this.#run(request, signal).catch((error) => signal.aborted || this.#failed(error));
  }

  /** Abort. */
  close() {
    this.#controller?.abort();
  }

  async #run({ method, url, headers, body }, signal) {
    const response = await fetch(url, { method, headers, body: body || undefined, signal, cache: 'no-store' });
    this.#began(response);
    if (isEventStream(response)) await showEvents(response.body, this.#pane);
    else if (response.body) await showCharacters(response.body, this.#pane);
    this.#pane.state(response.ok ? 'closed' : 'error', ...this.#outcome(response));
  }

  #began({ status, statusText, ok, headers }) {
    const lines = [...headers].map(([name, value]) => `${name}: ${value}`);
    this.#pane.wire('response', [`${status} ${statusText}`, ...lines].join('\n'));
    if (ok) this.#pane.state('open');
  }

  #outcome({ status, ok }) {
    if (!ok) return ['playground.say.refused', { status }];
    return status === 202 || status === 204 ? ['playground.say.answered', { status }] : ['playground.say.ended'];
  }

  #failed({ name, message }) {
    this.#pane.wire('error', `${name}: ${message}`);
    this.#pane.state('error', 'playground.say.not_by_itself', { reason: message });
  }
}
