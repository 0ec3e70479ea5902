import assert from 'node:assert/strict';
import test from 'node:test';

import { stillFollowing } from '../../static/js/chat/follow.js';
import { interpret } from '../../static/js/chat/interpret.js';
import { isSend, mistake } from '../../static/js/chat/keys.js';
import { retryAfter } from '../../static/js/chat/request.js';
import { codePoints, isWhole } from '../../static/js/chat/whole.js';

const ENTER = { key: 'Enter', shiftKey: false, isComposing: false, keyCode: 13 };
const OTHER_DIGEST = '59c9b6a6aa4ecd6c';

test('Enter sends, Shift + Enter does not', () => {
  assert.equal(isSend(ENTER), true);
  assert.equal(isSend({ ...ENTER, shiftKey: true }), false);
  assert.equal(isSend({ ...ENTER, key: 'a' }), false);
});

test('the Enter that ends a composition never sends, in Safari neither', () => {
  assert.equal(isSend({ ...ENTER, isComposing: true }), false);
  assert.equal(isSend({ ...ENTER, keyCode: 229 }), false);
});

test('a question is counted in code points, as the server counts', () => {
  const t = (key, { length } = {}) => `${key} ${length ?? ''}`.trim();
  assert.equal(mistake('🥇🥇', 2, t), '');
  assert.equal(mistake('🥇🥇🥇', 2, t), 'chat.error.long 3');
  assert.equal(mistake(' \n', 2, t), 'chat.error.blank');
});

const EVENTS = [
  [{ data: '{"content":"a"}' }, { content: 'a', reasoning: '' }],
  [{ data: '{"reasoning":"b"}' }, { content: '', reasoning: 'b' }],
  [{ data: '{"content":5}' }, { content: '', reasoning: '' }],
  [{ data: 'no json' }, { content: '', reasoning: '' }],
  [{ event: 'phase', data: '{"phase":"waiting"}' }, { phase: 'waiting' }],
  [{ event: 'done', data: '{"state":"complete","chars":3}' }, { done: { state: 'complete', chars: 3 } }],
  [{ event: 'done', data: 'null' }, { done: { state: 'interrupted' } }],
  [{ event: 'open', data: '{"answer":"x"}' }, {}],
];

for (const [event, said] of EVENTS) {
  test(`event: ${JSON.stringify(event)}`, () => assert.deepEqual(interpret(event), said));
}

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

test('Retry-After is seconds or a date', () => {
  const now = Date.UTC(2026, 0, 1);
  assert.equal(retryAfter('7', now), 7);
  assert.equal(retryAfter(new Date(now + 9000).toUTCString(), now), 9);
  assert.equal(retryAfter('soon', now), null);
  assert.equal(retryAfter(null, now), null);
});

const FOLLOWING = [
  ['going up ends it', true, { top: 90, gap: 10 }, { top: 80, gap: 20 }, false],
  ['even a little', true, { top: 90, gap: 0 }, { top: 88, gap: 2 }, false],
  ['growing does not', true, { top: 90, gap: 0 }, { top: 90, gap: 300 }, true],
  ['the end begins it again', false, { top: 80, gap: 20 }, { top: 97, gap: 3 }, true],
  ['going down short of the end does not', false, { top: 80, gap: 90 }, { top: 90, gap: 80 }, false],
  ['an answer that is emptied does not end it', true, { top: 90, gap: 0 }, { top: 0, gap: 0 }, true],
];

for (const [name, following, before, now, after] of FOLLOWING) {
  test(`following: ${name}`, () => assert.equal(stillFollowing(following, before, now), after));
}
