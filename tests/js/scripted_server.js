// A server of answers that misbehaves by name: `/<script>/api/answers…`, each request the script's next line.

import { createHash, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { once } from 'node:events';

export const POEM = '東邊日出西邊雨\n道是無晴🥇卻有晴\n';

const hash = (text) => createHash('sha256').update(text).digest('hex');
const event = (name, data) => ({ name, data });
const written = [...POEM].map((content) => event('message', { content }));
const end = { state: 'complete', finish_reason: 'stop', chars: [...POEM].length, sha256: hash(POEM) };

/** The journal of a good answer: open, two phases, a character an event, done. */
const JOURNAL = [
  event('open', { answer: 'a', conversation: 'c', model: 'poem' }),
  event('phase', { phase: 'waiting' }),
  event('message', { reasoning: 'Hm.' }),
  event('phase', { phase: 'writing' }),
  ...written,
  event('done', end),
];
export const LAST = JOURNAL.length;

const block = (seq, { name, data }) =>
  `${name === 'message' ? '' : `event: ${name}\n`}data: ${JSON.stringify(data)}\nid: a:${seq}\n\n`;
const blocks = (from, to) => JOURNAL.slice(from, to).map((each, i) => block(from + 1 + i, each)).join('');

// Each line of a script gets the response and the seq after which to go on.
const head = (response) => response.writeHead(200, { 'Content-Type': 'text/event-stream' });
const whole = (response, after) => head(response).end(blocks(after));
const endsAt = (seq) => (response, after) => head(response).end(blocks(after, seq));
const cutIn = (seq) => (response, after) => {
  head(response).write(blocks(after, seq) + block(seq + 1, JOURNAL[seq]).slice(0, -9), () => response.destroy());
};
const cutAtOnce = (response) => response.destroy();
const status = (code, headers = {}) => (response) =>
  response.writeHead(code, { 'Content-Type': 'application/problem+json', ...headers }).end(`{"detail":"no ${code}"}`);
const empty = (response) => response.writeHead(204).end();
const stallsAt = (seq) => (response, after) => head(response).write(blocks(after, seq) + ': ping\n');
const silent = () => {};
const sends = (text) => (response) => head(response).end(text);
const html = (response) => response.writeHead(200, { 'Content-Type': 'text/html' }).end('<p>Sign in to this café</p>');

const RESET = block(30, event('reset', { content: POEM, reasoning: 'Hm.' }));
const wrong = (more) => block(LAST, event('done', { ...end, ...more }));

export const SCRIPTS = {
  good: [whole],
  'cut-in-mid-event': [cutIn(6), cutIn(9), cutIn(15), whole],
  'cut-before-anything': [cutAtOnce, cutAtOnce, whole],
  'ends-without-an-end': [endsAt(7), endsAt(7), whole],
  'good-then-nothing-more': [whole, empty],
  'nothing-more-comes': [empty],
  'nothing-more-comes-in-the-middle': [endsAt(7), empty],
  'says-401': [status(401)],
  'says-404-in-the-middle': [endsAt(7), status(404)],
  'says-429-first': [status(429, { 'Retry-After': '1' }), whole],
  'says-503-in-the-middle': [endsAt(7), status(503, { 'Retry-After': '1' }), whole],
  'says-500-then-408-then-425': [status(500), status(408), status(425), whole],
  'sends-a-page': [html, whole],
  stalls: [stallsAt(7), whole],
  'never-responds': [silent, whole],
  repeats: [sends(blocks(0, 8) + blocks(2, 8) + blocks(6) + blocks(0))],
  skips: [sends(blocks(0, 6) + blocks(8)), whole],
  resets: [sends(blocks(0, 8)), sends(RESET + block(31, event('done', end)))],
  'resets-behind-the-reader': [sends(blocks(0, 12)), sends(block(7, event('reset', { content: '東邊日', reasoning: 'Hm.' })) + blocks(7))],
  'wrong-digest': [sends(blocks(0, LAST - 1) + wrong({ sha256: hash('x') }))],
  'loses-text': [sends(blocks(0, 9) + block(10, event('phase', { phase: 'writing' })) + blocks(10))],
  'cut-while-healing': [sends(blocks(0, LAST - 1) + wrong({ chars: 1 }))],
  'speaks-in-tongues': [sends(block(1, JOURNAL[0]) + 'data: lost\n\n' + 'data: {no json\nid: a:2\n\nevent: tea\ndata: {}\nid: a:3\n\n' + blocks(3))],
  stops: [stallsAt(9), silent],
};

const KEPT = { ...end, answer: 'a', content: POEM, reasoning: 'Hm.' };

/** Runs the scripts; `requests` of a script tell what was asked of it. */
export class ScriptedServer {
  requests = [];
  #lines = new Map();
  #followers = new Map();
  #server = createServer((request, response) => this.#handle(request, response));

  async start() {
    await once(this.#server.listen(0, '127.0.0.1'), 'listening');
    this.url = `http://127.0.0.1:${this.#server.address().port}`;
  }

  /** Give the base of a script under a name of its own, so that each test begins at its first line. */
  begin(script) {
    const name = `${script}@${randomUUID()}`;
    this.#lines.set(name, [...SCRIPTS[script]]);
    return `${this.url}/${name}`;
  }

  requestsTo(base) {
    return this.requests.filter((request) => request.base === base);
  }

  close() {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  async #handle(request, response) {
    const [, name, , , , verb] = request.url.split('/');
    const { method, headers } = request;
    let body = '';
    for await (const piece of request) body += piece;
    const base = `${this.url}/${name}`;
    this.requests.push({ base, method, verb, headers, body: body && JSON.parse(body), at: performance.now() });
    if (verb === 'events' || (method === 'POST' && !verb)) this.#stream(name, headers, response);
    else this.#tell(name, verb, response);
  }

  #stream(name, headers, response) {
    const lines = this.#lines.get(name);
    const line = lines.length > 1 ? lines.shift() : lines[0];
    this.#followers.set(name, response);
    line(response, Number(headers['last-event-id']?.split(':')[1] ?? 0));
  }

  #tell(name, verb, response) {
    const json = (value) => response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(value));
    if (name.startsWith('cut-while-healing') && this.#once(name)) return response.destroy();
    if (!verb) return json(KEPT);
    if (verb === 'stop') this.#followers.get(name).end(block(10, event('done', { state: 'stopped', chars: 5, sha256: hash([...POEM].slice(0, 5).join('')) })));
    return json({ state: verb === 'stop' ? 'stopped' : 'running' });
  }

  #once(name) {
    return this.#lines.get(name).push('seen') === 2;
  }
}
