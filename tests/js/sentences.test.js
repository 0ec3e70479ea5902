import assert from 'node:assert/strict';
import test from 'node:test';

import { Sentences } from '../../static/js/chat/sentences.js';
import { Speech } from '../../static/js/chat/speech.js';

function spoken(text, size) {
  const sentences = new Sentences('Code.');
  const said = [];
  for (let i = 0; i < text.length; i += size) said.push(...sentences.feed(text.slice(i, i + size)));
  return [...said, ...sentences.end()];
}

const TEXTS = [
  ['marks are not read', 'This is *fine*! See [the docs](http://a.b/c).', ['This is fine!', 'See the docs.']],
  ['a point in a number ends nothing', 'Version 3.14 costs $2. Good', ['Version 3.14 costs $2.', 'Good']],
  ['a sentence goes over lines', 'It goes\non here. Then ends.', ['It goes on here.', 'Then ends.']],
  ['a paragraph ends a sentence', 'No point\n\nNew one', ['No point', 'New one']],
  ['Chinese ends with its own marks', '天晴了。她說：「你好！」走了', ['天晴了。', '她說：「你好！」', '走了']],
  ['Chinese lines are joined without a blank', '東邊日出西邊雨，\n道是無晴卻有晴。', ['東邊日出西邊雨，道是無晴卻有晴。']],
  ['code is only named', 'So:\n```js\nlet a = 1. ;\n```\nDone.', ['So:', 'Code.', 'Done.']],
  ['a fence of tildes holds backticks', '~~~\n```\nb\n~~~\nz', ['Code.', 'z']],
  ['headings and list items stand alone', '# Title\nText.\n- one\n1. two\n', ['Title', 'Text.', 'one', 'two']],
  ['code that never ends is not read', 'A.\n```\nsecret', ['A.', 'Code.']],
];

for (const [name, text, said] of TEXTS) {
  test(name, () => [1, 2, 5, 1000].forEach((size) => assert.deepEqual(spoken(text, size), said)));
}

test('a sentence is given as soon as it is finished', () => {
  const sentences = new Sentences();
  assert.deepEqual(sentences.feed('One. Two'), ['One.']);
  assert.deepEqual(sentences.feed('. '), ['Two.']);
});

test('what never ends is cut, and takes no time', () => {
  const began = performance.now();
  const said = spoken('x'.repeat(200_000), 3);
  assert.equal(said.join(''), 'x'.repeat(200_000));
  assert.ok(Math.max(...said.map((each) => each.length)) <= 500);
  assert.ok(performance.now() - began < 2000);
});

/** A region and a clock that a test turns by hand. */
function listener() {
  const heard = [];
  const timers = { due: null, setTimeout: (call) => (timers.due = call), clearTimeout: () => (timers.due = null) };
  const region = { set textContent(words) { if (words) heard.push(words); } };
  return { heard, timers, speech: new Speech(region, 'Code.', timers) };
}

const say = (content) => ({ type: 'text', content });

test('one sentence at a time, the next when some time has passed', () => {
  const { heard, timers, speech } = listener();
  speech.take(say('One. Two. '));
  assert.deepEqual(heard, ['One.']);
  timers.due();
  assert.deepEqual(heard, ['One.', 'Two.']);
});

test('a fast answer leaves sentences out, and its last ones are said at its end', () => {
  const { heard, timers, speech } = listener();
  for (let i = 1; i <= 100; i += 1) speech.take(say(`Sentence ${i}. `));
  timers.due();
  speech.take(say('The end'));
  speech.take({ type: 'done' });
  assert.deepEqual(heard, ['Sentence 1.', 'Sentence 98.', 'Sentence 99. Sentence 100. The end']);
});

test('a text that is replaced is begun anew', () => {
  const { heard, speech } = listener();
  speech.take(say('Half a sen'));
  speech.take({ type: 'reset', content: 'Half a sentence. ' });
  speech.take(say('Another. '));
  assert.deepEqual(heard, ['Another.']);
});
