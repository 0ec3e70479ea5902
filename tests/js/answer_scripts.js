// What a server of answers may do, by name: each request of a reader meets the next line, the last line stays.

import { createHash } from 'node:crypto';

export const POEM = '東邊日出西邊雨\n道是無晴🥇卻有晴\n';

const hash = (text) => createHash('sha256').update(text).digest('hex');
const event = (name, data) => ({ name, data });
const message = (data) => event('message', data);
const end = { state: 'complete', finish_reason: 'stop', chars: [...POEM].length, sha256: hash(POEM) };

/** A good answer: opened, thought about, a character an event, done. */
const JOURNAL = [
  event('open', { answer: 'a', conversation: 'c', model: 'poem' }),
  event('phase', { phase: 'waiting' }),
  message({ reasoning: 'Hm.' }),
  event('phase', { phase: 'writing' }),
  ...[...POEM].map((content) => message({ content })),
  event('done', end),
];
export const LAST = JOURNAL.length;
export const KEPT = { ...end, answer: 'a', content: POEM, reasoning: 'Hm.' };

/** One event on the wire. */
function block(seq, { name, data }) {
  const field = name === 'message' ? '' : `event: ${name}\n`;
  return `${field}data: ${JSON.stringify(data)}\nid: a:${seq}\n\n`;
}

/** The events behind one number up to another. */
function blocks(after, upto) {
  return JOURNAL.slice(after, upto).map((each, i) => block(after + 1 + i, each)).join('');
}

const reset = (seq, content) => block(seq, event('reset', { content, reasoning: 'Hm.' }));
const done = (seq, more) => block(seq, event('done', { ...end, ...more }));

/** The end that a stop brings to an answer of which five characters are written. */
export const STOPPED = done(10, { state: 'stopped', chars: 5, sha256: hash('東邊日出西') });

// A line gets the response, and the number behind which to go on.
const stream = (response) => response.writeHead(200, { 'Content-Type': 'text/event-stream' });
const whole = (response, after) => stream(response).end(blocks(after));
const sends = (...wire) => (response) => stream(response).end(wire.join(''));
const endsAt = (seq) => (response, after) => stream(response).end(blocks(after, seq));
const stallsAt = (seq) => (response, after) => stream(response).write(`${blocks(after, seq)}: ping\n`);
const cutIn = (seq) => (response, after) => {
  const torn = blocks(after, seq) + block(seq + 1, JOURNAL[seq]).slice(0, -9);
  stream(response).write(torn, () => response.destroy());
};
const cutAtOnce = (response) => response.destroy();
const silent = () => {};
const nothingMore = (response) => response.writeHead(204).end();
const page = (response) => response.writeHead(200, { 'Content-Type': 'text/html' }).end('<p>Welcome to our café</p>');
const says = (status, more = {}) => (response) => {
  response.writeHead(status, { 'Content-Type': 'application/problem+json', ...more }).end(`{"detail":"no ${status}"}`);
};
const later = { 'Retry-After': '1' };

export const SCRIPTS = {
  good: [whole],
  'good-then-nothing-more': [whole, nothingMore],
  'cut-in-mid-event': [cutIn(6), cutIn(9), cutIn(15), whole],
  'cut-before-anything': [cutAtOnce, cutAtOnce, whole],
  'ends-without-an-end': [endsAt(7), endsAt(7), whole],
  'nothing-more-comes': [nothingMore],
  'nothing-more-comes-in-the-middle': [endsAt(7), nothingMore],
  'says-401': [says(401)],
  'says-404-in-the-middle': [endsAt(7), says(404)],
  'says-429-first': [says(429, later), whole],
  'says-503-in-the-middle': [endsAt(7), says(503, later), whole],
  'says-500-then-408-then-425': [says(500), says(408), says(425), whole],
  'sends-a-page': [page, whole],
  stalls: [stallsAt(7), whole],
  'never-responds': [silent, whole],
  repeats: [sends(blocks(0, 8), blocks(2, 8), blocks(6), blocks(0))],
  skips: [sends(blocks(0, 6), blocks(8)), whole],
  resets: [sends(blocks(0, 8)), sends(reset(30, POEM), done(31))],
  'resets-behind-the-reader': [sends(blocks(0, 12)), sends(reset(7, '東邊日'), blocks(7))],
  'wrong-digest': [sends(blocks(0, LAST - 1), done(LAST, { sha256: hash('x') }))],
  'loses-text': [sends(blocks(0, 9), block(10, event('phase', { phase: 'writing' })), blocks(10))],
  'cut-while-healing': [sends(blocks(0, LAST - 1), done(LAST, { chars: 1 }))],
  'speaks-in-tongues': [
    sends(blocks(0, 1), 'data: lost\n\n', 'data: {no json\nid: a:2\n\n', 'event: tea\ndata: 1\nid: a:3\n\n', blocks(3)),
  ],
  stops: [stallsAt(9)],
};
