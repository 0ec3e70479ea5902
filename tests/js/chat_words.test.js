import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';

import { Phases } from '../../static/js/chat/phases.js';
import { endWords, errorWords, phaseWords, reconnectingWords } from '../../static/js/chat/words.js';
import { fill, messagesFrom } from '../../static/js/messages.js';

function sayIn(tag) {
  const messages = readFileSync(new URL(`../../web/translations/${tag}.json`, import.meta.url), 'utf8');
  return messagesFrom({ dataset: { messages } });
}

const t = sayIn('en');
const done = { state: 'complete', finish_reason: 'stop', ttft_ms: 345, tokens_per_s: 1234.56 };

test('a good end tells the time to the first word and the speed', () => {
  assert.equal(endWords(done, t, 'en'), 'Done · first word after 0.35 s · 1,234.6 tokens/s');
  assert.equal(endWords(done, sayIn('zh-Hans'), 'zh-Hans'), '已完成 · 0.35 秒后出现第一个字 · 每秒 1,234.6 个 token');
});

test('a good end tells how many tokens there were', () => {
  const figures = { state: 'complete', usage: { prompt_tokens: 12, completion_tokens: 3456 } };
  assert.equal(endWords(figures, t, 'en'), 'Done · 12 tokens read, 3,456 written');
  assert.equal(endWords({ ...figures, usage: { completion_tokens: 7 } }, t, 'en'), 'Done · 7 tokens written');
  assert.equal(endWords(figures, sayIn('zh-Hant'), 'zh-Hant'), '已完成 · 讀入 12、寫出 3,456 個 token');
});

test('what is not known is not said', () => {
  assert.equal(endWords({ state: 'complete', ttft_ms: null, tokens_per_s: null }, t, 'en'), 'Done');
  assert.equal(endWords({ ...done, finish_reason: 'length', ttft_ms: null, tokens_per_s: null }, t, 'en'), t('live.length'));
});

test('a stopped answer is no error', () => {
  assert.equal(endWords({ state: 'stopped' }, t, 'en'), 'Stopped');
  assert.equal(errorWords({ state: 'stopped' }, t, 'en'), '');
});

const ERRORS = [
  [{ state: 'interrupted' }, 'The answer broke off before its end.'],
  [{ state: 'failed', error: { code: 'upstream_timeout', message: 'x' } }, 'No answer came. The model server took too long.'],
  [{ state: 'failed', error: { code: 'upstream_refused', message: 'Status 401.' } }, 'No answer came. Status 401.'],
  [{ state: 'complete', whole: false }, t('live.not_whole')],
  [{ state: 'complete', whole: true }, ''],
  [{ state: 'failed', refusal: { status: 429, retryAfterS: 7 } }, 'No answer came. Too many questions at once. Please try again in 7 s.'],
  [{ state: 'failed', refusal: { status: 503, retryAfterS: null } }, 'No answer came. Too many answers are being written right now.'],
  [{ state: 'failed', refusal: { status: 418 } }, 'No answer came. The server refused the question (418).'],
  [{ state: 'failed', refusal: { status: 0 } }, 'No answer came. The server cannot be reached.'],
];

for (const [end, words] of ERRORS) {
  test(`error: ${JSON.stringify(end)}`, () => assert.equal(errorWords(end, t, 'en'), words));
}

test('without a network the reader is told that, and not that the server is down', () => {
  assert.match(errorWords({ state: 'failed', refusal: { status: 0 } }, t, 'en', false), /You are offline/);
});

test('phases have words, and one that is not known here has none', () => {
  assert.equal(phaseWords('thinking', t), 'Thinking…');
  assert.equal(phaseWords('dreaming', t), undefined);
});

test('a phase is said when it begins, and a recovery when it is over', () => {
  const phases = new Phases(t);
  const said = ['connecting', 'writing', 'writing', 'recovering', 'writing', 'thinking'].map((phase) => phases.enter(phase));
  const [recovering, recovered] = [t('live.recovering'), t('live.recovered')];
  assert.deepEqual(said, ['Connecting…', 'Writing…', '', recovering, recovered, 'Thinking…']);
});

const WAITS = [
  [{ seconds: 2.2, status: 0 }, true, 'Reconnecting in 3 s…'],
  [{ seconds: 0, status: 0 }, false, 'You are offline. Reconnecting in 0 s…'],
  [{ seconds: 7, status: 429 }, true, 'Too many questions at once. Reconnecting in 7 s…'],
  [{ seconds: 7, status: 500 }, true, 'Reconnecting in 7 s…'],
];

for (const [event, online, words] of WAITS) {
  test(`wait: ${words}`, () => assert.equal(reconnectingWords(event, t, 'en', online), words));
}

test('a message keeps braces that are no value of it', () => {
  assert.equal(fill('{a} and {b}', { a: '{b}' }), '{b} and {b}');
});
