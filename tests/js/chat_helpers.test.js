import assert from 'node:assert/strict';
import test from 'node:test';

import { stillFollowing } from '../../static/js/chat/follow.js';
import { isCancel, isSend, mistake, shortcutOf } from '../../static/js/chat/keys.js';
import { duration } from '../../static/js/chat/numbers.js';

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

test('Esc cancels, but not while an input method composes', () => {
  assert.equal(isCancel({ key: 'Escape' }), true);
  assert.equal(isCancel({ key: 'Escape', isComposing: true }), false);
  assert.equal(isCancel({ key: 'Escape', keyCode: 229 }), false);
});

test('single keys are short for something, but not in a field or with Ctrl', () => {
  const inField = { closest: (selector) => selector.includes('textarea') };
  assert.equal(shortcutOf({ key: '?', shiftKey: true }), 'help');
  assert.equal(shortcutOf({ key: 'x' }), undefined);
  assert.equal(shortcutOf({ key: 'n', ctrlKey: true }), undefined);
  assert.equal(shortcutOf({ key: 'n', target: inField }), undefined);
});

const DURATIONS = [
  [3.9, 'en', '3s'],
  [65, 'en', '1m 5s'],
  [65, 'zh-Hans', '1分钟 5秒'],
  [0, 'zh-Hant', '0 秒'],
];

for (const [seconds, lang, words] of DURATIONS) {
  test(`duration: ${seconds} in ${lang}`, () => assert.equal(duration(seconds, lang), words));
}

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
