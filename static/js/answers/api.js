// The requests of an answer (CONTRACT: POST and GET /api/answers…). Each throws a Refusal, or what fetch throws.

import { isEventStream } from '../sse.js';
import { Refusal, refusalOf } from './refusal.js';

export const SILENCE_MS = 25_000; // two and a half of the server's heartbeats
const EVENTS = 'text/event-stream, application/problem+json';
const JSON_TYPE = 'application/json';

export class Api {
  #base;
  #headers;

  constructor(base, token) {
    this.#base = `${base}/api/answers`;
    this.#headers = token ? { Authorization: `Bearer ${token}` } : {};
  }

  /** Ask; gives the stream's body. The same answer is never asked for twice, so this may be repeated. */
  ask(question, line) {
    return this.#stream('', post(question), line);
  }

  /** Follow an answer behind an event; gives the stream's body, or null if nothing comes any more. */
  events(answer, seq, line) {
    const headers = seq ? { 'Last-Event-ID': `${answer}:${seq}` } : {};
    return this.#stream(`/${answer}/events`, { headers, cache: 'no-store' }, line);
  }

  /** Fetch what is kept of an answer. */
  kept(answer, line) {
    return this.#json(`/${answer}`, { cache: 'no-store' }, line);
  }

  /** Have an answer stopped or continued (`verb`); gives what the server says to it. */
  tell(answer, verb, line) {
    return this.#json(`/${answer}/${verb}`, post({}), line);
  }

  async #stream(path, init, line) {
    const response = await within(line, () => this.#send(path, init, EVENTS, line));
    if (response.status === 204) return null;
    if (isEventStream(response)) return response.body;
    throw new Refusal(response);
  }

  #json(path, init, line) {
    return within(line, async () => (await this.#send(path, init, JSON_TYPE, line)).json());
  }

  async #send(path, init, accept, { signal }) {
    const headers = { ...init.headers, ...this.#headers, Accept: accept };
    const response = await fetch(this.#base + path, { ...init, headers, signal });
    if (response.ok) return response;
    throw await refusalOf(response);
  }
}

function post(value) {
  return { method: 'POST', headers: { 'Content-Type': JSON_TYPE }, body: JSON.stringify(value) };
}

/** Give a server up that does not respond, as one that falls silent later. */
async function within(line, request) {
  const timer = setTimeout(() => line.abort(), SILENCE_MS);
  try {
    return await request();
  } finally {
    clearTimeout(timer);
  }
}
