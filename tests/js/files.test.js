// What files are in words, and which of what is pasted is a file.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { pasted } from '../../static/js/files/gathering.js';
import { idsOf } from '../../static/js/files/shown.js';
import { costWords, mayPass, refusalWords, sizeWords, sumWords } from '../../static/js/files/words.js';
import { fill } from '../../static/js/messages.js';

const MESSAGES = {
  'file.cost': '{size} · ≈ {tokens} tokens',
  'file.images': 'An image is about 1,000.',
  'file.lost': 'The connection broke off.',
  'file.sum': 'Together {size} · ≈ {tokens} tokens',
  'live.refused': 'Refused: {status}.',
  'problem.pdf_locked': 'It needs a password.',
};
const t = (key, values) => fill(MESSAGES[key], values);

for (const [bytes, words] of [[0, '0 B'], [999, '999 B'], [1000, '1 kB'], [1499, '1 kB'], [999_499, '999 kB'], [999_500, '1 MB'], [10_485_760, '10 MB']]) {
  test(`${bytes} bytes are ${words}`, () => assert.equal(sizeWords(bytes, 'en'), words));
}

test('what a file costs is about', () => {
  assert.equal(costWords({ bytes: 1234, tokens: 12345 }, t, 'en'), '1 kB · ≈ 12,345 tokens');
});

const NOTES = { type: 'text/plain', bytes: 1500, tokens: 400 };
const PICTURE = { type: 'image/png', bytes: 98, tokens: 1000 };

for (const [files, words] of [
  [[], ''],
  [[NOTES], ''],
  [[NOTES, NOTES], 'Together 3 kB · ≈ 800 tokens'],
  [[PICTURE], 'An image is about 1,000.'],
  [[NOTES, PICTURE], 'Together 2 kB · ≈ 1,400 tokens · An image is about 1,000.'],
]) {
  test(`the sum of ${files.length} files is "${words}"`, () => assert.equal(sumWords(files, t, 'en'), words));
}

test('a refusal is said in the language of the page, else as the server says it', () => {
  assert.equal(refusalWords({ status: 422, code: 'pdf_locked', detail: 'x' }, t), 'It needs a password.');
  assert.equal(refusalWords({ status: 422, code: 'new', detail: 'Something new.' }, t), 'Something new.');
  assert.equal(refusalWords({ status: 502, code: '', detail: '' }, t), 'Refused: 502.');
  assert.equal(refusalWords({ status: 0, code: '', detail: '' }, t), 'The connection broke off.');
});

test('another try helps where the file was not the reason', () => {
  assert.deepEqual([0, 408, 429, 503].map((status) => mayPass({ status })), [true, true, true, true]);
  assert.deepEqual([413, 415, 422].map((status) => mayPass({ status })), [false, false, false]);
});

test('what is pasted with a text beside it is meant as text', () => {
  assert.deepEqual(pasted({ files: ['image'], types: ['Files'] }), ['image']);
  assert.deepEqual(pasted({ files: ['image'], types: ['text/plain', 'text/html', 'Files'] }), []);
});

test('a question without files names none', () => {
  assert.equal(idsOf([]), undefined);
  assert.equal(idsOf(undefined), undefined);
  assert.deepEqual(idsOf([{ id: 'a' }, { id: 'b' }]), ['a', 'b']);
});
