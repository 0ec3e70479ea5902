import assert from 'node:assert/strict';
import test from 'node:test';

import { isLast, textAfter } from '../../static/js/playground/text.js';

const JSON_STREAM = { raw: false, last: 'done' };
const RAW_STREAM = { raw: true, last: 'stop' };
const CHANNEL = { raw: false, last: '' };

const CASES = [
  ['content is appended', JSON_STREAM, { data: '{"content": "什"}' }, 'before什'],
  ['reasoning is no text', JSON_STREAM, { data: '{"reasoning": "hm"}' }, 'before'],
  ['a reset replaces', JSON_STREAM, { event: 'reset', data: '{"content": "anew"}' }, 'anew'],
  ['the relayed chunk has its content within', JSON_STREAM, { data: '{"choices": [{"delta": {"content": "x"}}]}' }, 'beforex'],
  ['a chunk without choices adds nothing', JSON_STREAM, { data: '{"choices": [], "usage": {}}' }, 'before'],
  ['a word that is no JSON adds nothing', JSON_STREAM, { data: '[DONE]' }, 'before'],
  ['content that is no string adds nothing', JSON_STREAM, { data: '{"content": 1}' }, 'before'],
  ['a JSON string is text', CHANNEL, { data: '"hello"' }, 'beforehello'],
  ['null adds nothing', CHANNEL, { data: 'null' }, 'before'],
  ['raw data is text, line breaks too', RAW_STREAM, { event: 'message', data: '\n' }, 'before\n'],
  ['the raw stop word is no text', RAW_STREAM, { event: 'message', data: 'stop' }, 'before'],
  ['what goes wrong in a raw stream is no text', RAW_STREAM, { event: 'error', data: 'oh' }, 'before'],
];

for (const [name, endpoint, event, expected] of CASES) {
  test(`text: ${name}`, () => assert.equal(textAfter('before', event, endpoint), expected));
}

test('an answer ends with its terminal event, by name or by raw data', () => {
  assert.equal(isLast({ event: 'done', data: '{}' }, JSON_STREAM), true);
  assert.equal(isLast({ event: 'message', data: 'done' }, JSON_STREAM), false);
  assert.equal(isLast({ event: 'message', data: 'stop' }, RAW_STREAM), true);
});

test('a channel never ends, whatever is published in it', () => {
  assert.equal(isLast({ event: '', data: '' }, CHANNEL), false);
  assert.equal(isLast({ event: 'done', data: '{}' }, CHANNEL), false);
});
