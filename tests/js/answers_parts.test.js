import assert from 'node:assert/strict';
import test from 'node:test';

import { retryAfter, waitS } from '../../static/js/answers/backoff.js';
import { newId } from '../../static/js/answers/id.js';
import { Line } from '../../static/js/answers/line.js';
import { Gap, Progress } from '../../static/js/answers/progress.js';
import { codePoints, isWhole } from '../../static/js/answers/proof.js';
import { Refusal } from '../../static/js/answers/refusal.js';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const OTHER_DIGEST = '59c9b6a6aa4ecd6c';

const message = (seq, content) => ({ data: JSON.stringify({ content }), id: `a:${seq}` });

test('only the next event is applied; one that was applied before changes nothing', () => {
  const progress = new Progress();
  assert.deepEqual(progress.take(message(1, 'a')), { type: 'text', content: 'a', reasoning: '' });
  assert.equal(progress.take(message(1, 'a')), null);
  assert.throws(() => progress.take(message(3, 'c')), Gap);
  assert.deepEqual([progress.content, progress.seq], ['a', 1]);
});

test('a reset is the whole text up to its number, wherever it stands', () => {
  for (const seq of [2, 40]) {
    const progress = new Progress({ seq: 7, content: 'lost', reasoning: 'x' });
    const change = progress.take({ event: 'reset', data: '{"content":"kept","reasoning":""}', id: `a:${seq}` });
    assert.deepEqual(change, { type: 'reset', content: 'kept', reasoning: '' });
    assert.equal(progress.seq, seq);
  }
});

const CHANGES = [
  [{ event: 'open', data: '{"answer":"a","conversation":"c"}' }, { type: 'open', answer: 'a', conversation: 'c' }],
  [{ data: '{"reasoning":"b"}' }, { type: 'text', content: '', reasoning: 'b' }],
  [{ data: '{"content":5}' }, { type: 'text', content: '', reasoning: '' }],
  [{ data: 'no json' }, { type: 'text', content: '', reasoning: '' }],
  [{ event: 'phase', data: '{"phase":"waiting"}' }, { type: 'phase', phase: 'waiting' }],
  [{ event: 'tea', data: '{}' }, null],
];

for (const [event, change] of CHANGES) {
  test(`event: ${JSON.stringify(event)}`, () => {
    const progress = new Progress();
    assert.deepEqual(progress.take({ ...event, id: 'a:1' }), change);
    assert.equal(progress.seq, 1);
  });
}

test('what an end does not say is taken as broken off', () => {
  const progress = new Progress();
  progress.take({ event: 'done', data: 'null', id: 'a:1' });
  assert.deepEqual(progress.end, { state: 'interrupted' });
});

test('a wait is anything up to a bound that doubles to half a minute', () => {
  const longest = [0, 1, 2, 5, 6, 60].map((tries) => waitS(tries, null, () => 1));
  assert.deepEqual(longest, [0.5, 1, 2, 16, 30, 30]);
  assert.equal(waitS(3, null, () => 0), 0);
});

test('a server that says when to come again is believed, within reason', () => {
  assert.equal(waitS(0, 7, () => 0.5), 7.25);
  assert.equal(waitS(0, 1e9), 3600);
});

test('Retry-After is seconds or a date', () => {
  const now = Date.UTC(2026, 0, 1);
  assert.equal(retryAfter('7', now), 7);
  assert.equal(retryAfter(new Date(now + 9000).toUTCString(), now), 9);
  assert.equal(retryAfter('soon', now), null);
  assert.equal(retryAfter(null, now), null);
});

test('a text is whole if its length and its digest say so', async () => {
  const bytes = await crypto.subtle.digest('SHA-256', new TextEncoder().encode('月🥇'));
  const done = { chars: 2, sha256: Buffer.from(bytes).toString('hex') };
  assert.equal(await isWhole('月🥇', done), true);
  assert.equal(await isWhole('月', done), false);
  assert.equal(await isWhole('日🥇', done), false);
});

test('without a secure context only the length is compared', async () => {
  assert.equal(await isWhole('日', { chars: 1, sha256: OTHER_DIGEST }, null), true);
  assert.equal(await isWhole('日本', { chars: 1, sha256: OTHER_DIGEST }, null), false);
});

test('a pair of surrogates is one character', () => {
  assert.equal(codePoints('a🥇\n'), 3);
});

test('an id is a UUID, in an insecure context too', () => {
  const insecure = { getRandomValues: (bytes) => crypto.getRandomValues(bytes) };
  assert.match(newId(), UUID);
  assert.match(newId(insecure), UUID);
  assert.notEqual(newId(insecure), newId(insecure));
});

test('asking again is of no use after a 4xx, but after 408, 425 and 429', () => {
  const final = (status) => new Refusal(new Response('', { status })).final;
  assert.deepEqual([400, 401, 404, 408, 422, 425, 429, 500, 503, 200].filter(final), [400, 401, 404, 422]);
});

/** Give node what a page hears. */
function pageEvents(t) {
  const page = new EventTarget();
  globalThis.addEventListener = page.addEventListener.bind(page);
  t.after(() => delete globalThis.addEventListener);
  return (type, more) => page.dispatchEvent(Object.assign(new Event(type), more));
}

test('a page that comes back to life tries again at once', async (t) => {
  const happens = pageEvents(t);
  const line = new Line();
  for (const [type, more] of [['online', {}], ['pageshow', { persisted: true }]]) {
    const pause = line.pause(600);
    happens(type, more);
    await pause;
  }
  line.open();
  happens('online');
  assert.equal(line.signal.aborted, true);
  assert.equal(line.lost({}), 0);
  line.close();
});

test('a page that was merely shown, and one that was told when to come, wait', (t) => {
  const happens = pageEvents(t);
  const line = new Line();
  line.open();
  happens('pageshow', { persisted: false });
  assert.equal(line.signal.aborted, false);
  assert.ok(line.lost({ retryAfterS: 600 }) >= 600);
  line.pause(600);
  happens('online');
  assert.equal(line.signal.aborted, false);
  line.close();
  assert.equal(line.signal.aborted, true);
});
