import assert from 'node:assert/strict';
import test from 'node:test';

import { stillFollowing } from '../../static/js/chat/follow.js';
import { isSend, mistake } from '../../static/js/chat/keys.js';

const ENTER = { key: 'Enter', shiftKey: false, isComposing: false, keyCode: 13 };

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
