// Two hands in the settings of one conversation: what is written into the fields, and what is a conflict.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { changesOf, merged } from '../../static/js/chat/settings_form.js';

const BEFORE = { system: 'old', temperature: null, max_tokens: 100 };

for (const [name, fields, now, written, conflict] of [
  ['nothing was changed by anyone', {}, {}, {}, false],
  ['what nobody touched here is taken over', {}, { system: 'theirs' }, { system: 'theirs' }, false],
  ['what was touched here stays', { temperature: 1 }, { system: 'theirs' }, { system: 'theirs' }, false],
  ['both have changed the same, differently', { system: 'mine' }, { system: 'theirs', max_tokens: 5 }, { max_tokens: 5 }, true],
  ['both have changed the same to the same', { system: 'ours' }, { system: 'ours' }, {}, false],
  ['what was taken away elsewhere is taken away', {}, { max_tokens: null }, { max_tokens: null }, false],
]) {
  test(name, () => {
    assert.deepEqual(merged({ ...BEFORE, ...fields }, BEFORE, { ...BEFORE, ...now }), { written, conflict });
  });
}

test('only what was changed here is saved', () => {
  assert.deepEqual(changesOf({ ...BEFORE, temperature: 0.5, max_tokens: null }, BEFORE), { temperature: 0.5, max_tokens: null });
});
