// What highlight.js writes, read and divided.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { divide, parse } from '../../static/js/markdown/spans.js';

const HTML = 'a <span class="hljs-string">&quot;b<span class="hljs-subst">{c}</span>d&quot;</span> e';
const STRING = { classes: 'hljs-string', parts: ['"b', { classes: 'hljs-subst', parts: ['{c}'] }, 'd"'] };
const text = (parts) => parts.map((part) => (typeof part === 'string' ? part : text(part.parts))).join('');

test('spans are read with what is in them', () => {
  assert.deepEqual(parse(HTML), ['a ', STRING, ' e']);
});

test('a list that is divided in front of a span and behind it keeps it whole', () => {
  assert.deepEqual(divide(parse(HTML), [2, 7, 2]), [['a '], [STRING], [' e']]);
});

test('a span that is divided is there on both sides', () => {
  const [left, right] = divide(parse(HTML), [5, 6]);
  const subst = (...parts) => ({ classes: 'hljs-subst', parts });
  assert.deepEqual(left, ['a ', { classes: 'hljs-string', parts: ['"b', subst('{')] }]);
  assert.deepEqual(right, [{ classes: 'hljs-string', parts: [subst('c}'), 'd"'] }, ' e']);
});

test('wherever a list is divided, nothing is lost', () => {
  const whole = text(parse(HTML));
  for (let at = 0; at <= whole.length; at += 1) {
    const pieces = divide(parse(HTML), [at, whole.length - at]);
    assert.deepEqual(pieces.map(text), [whole.slice(0, at), whole.slice(at)]);
  }
});
