import assert from 'node:assert/strict';
import test, { after, before, describe } from 'node:test';

import { Answer } from '../../static/js/answers/answer.js';
import { SILENCE_MS } from '../../static/js/answers/api.js';
import { LAST, POEM } from './answer_scripts.js';
import { ScriptedServer } from './scripted_server.js';

const server = new ScriptedServer();
before(() => server.start());
after(() => server.close());

/** Ask under a script, and keep what came: the text that a page would show, the types of what happened, the end. */
async function follow(script, options = {}) {
  const base = server.begin(script);
  const answer = new Answer({ prompt: 'x', base, ...options });
  return { ...(await read(answer)), requests: server.requestsTo(base), answer };
}

async function read(answer, text = '') {
  const types = [];
  let last;
  for await (const event of answer) {
    if (event.type === 'reset') text = event.content;
    if (event.type === 'text') text += event.content;
    if (types.at(-1) !== event.type) types.push(event.type);
    last = event;
  }
  return { text, types, last };
}

/** The cursors that the reader came back with. */
function seqs(requests) {
  return requests.filter(({ verb }) => verb === 'events').map(({ headers }) => headers['last-event-id']?.split(':')[1]);
}

const HEALED = [
  'good',
  'cut-in-mid-event',
  'cut-before-anything',
  'ends-without-an-end',
  'nothing-more-comes',
  'nothing-more-comes-in-the-middle',
  'says-429-first',
  'says-503-in-the-middle',
  'says-500-then-408-then-425',
  'sends-a-page',
  'repeats',
  'skips',
  'resets',
  'resets-behind-the-reader',
  'wrong-digest',
  'loses-text',
  'cut-while-healing',
  'speaks-in-tongues',
];

describe('the whole text comes once', { concurrency: true }, () => {
  for (const script of HEALED) {
    test(script, async () => {
      const { text, last } = await follow(script);
      assert.equal(text, POEM);
      assert.deepEqual([last.type, last.state, last.whole, last.content], ['done', 'complete', true, POEM]);
    });
  }
});

test('a good answer is asked for once, and nothing is asked behind its end', async () => {
  const { requests, types } = await follow('good');
  assert.deepEqual(types, ['open', 'phase', 'text', 'phase', 'text', 'done']);
  assert.equal(requests.length, 1);
});

test('what is read goes on behind the last event applied, never behind one that was cut', async () => {
  const { requests, types } = await follow('cut-in-mid-event');
  assert.deepEqual(seqs(requests), ['6', '9', '15']);
  assert.equal(types.filter((type) => type === 'reconnected').length, 3);
});

test('a question whose fate is unknown is sent again under the same id', async () => {
  const { requests, answer } = await follow('cut-before-anything', { conversation: 'c', model: 'm' });
  assert.equal(requests.length, 3);
  for (const { method, body } of requests) {
    assert.deepEqual([method, body], ['POST', { prompt: 'x', conversation: 'c', model: 'm', answer: answer.id }]);
  }
});

test('what was skipped is fetched', async () => {
  assert.deepEqual(seqs((await follow('skips')).requests), ['6']);
});

test('the server says when to come again, and is not asked before', async () => {
  const { requests } = await follow('says-503-in-the-middle');
  assert.ok(requests[2].at - requests[1].at >= 990);
});

test('a wait is told with its seconds and its reason', async () => {
  const base = server.begin('says-429-first');
  for await (const event of new Answer({ prompt: 'x', base })) {
    if (event.type !== 'reconnecting') continue;
    assert.equal(event.status, 429);
    assert.ok(event.seconds >= 1 && event.seconds <= 1.5);
  }
});

for (const [script, status, count] of [['says-401', 401, 1], ['says-404-in-the-middle', 404, 2]]) {
  test(`a refusal ends it: ${script}`, async () => {
    const base = server.begin(script);
    await assert.rejects(read(new Answer({ prompt: 'x', base })), { status, detail: `no ${status}`, final: true });
    assert.equal(server.requestsTo(base).length, count);
  });
}

/** Let the time of silence pass at once, and no other. */
function hurrySilence(t) {
  const real = globalThis.setTimeout;
  globalThis.setTimeout = (call, ms, ...rest) => real(call, ms === SILENCE_MS ? 50 : ms, ...rest);
  t.after(() => (globalThis.setTimeout = real));
}

for (const script of ['stalls', 'never-responds']) {
  test(`silence of two and a half heartbeats counts as a loss: ${script}`, async (t) => {
    hurrySilence(t);
    assert.equal((await follow(script)).text, POEM);
  });
}

test('an answer is followed by its id, from what is known of it', async () => {
  const known = { seq: 7, content: '東邊日', reasoning: 'Hm.' };
  const base = server.begin('good');
  const { text, types } = await read(new Answer({ answer: 'a', known, base }), known.content);
  assert.equal(text, POEM);
  assert.deepEqual(types, ['text', 'done']);
  assert.deepEqual(seqs(server.requestsTo(base)), ['7']);
});

test('stop tells the server, and the end comes by the stream', async () => {
  const base = server.begin('stops');
  const answer = new Answer({ prompt: 'x', base });
  let receipt;
  for await (const event of answer) {
    if (event.type === 'text' && event.content === '邊') receipt = answer.stop();
    if (event.type === 'done') assert.deepEqual([event.state, event.content], ['stopped', '東邊日出西']);
  }
  assert.equal((await receipt).state, 'stopped');
  assert.equal(answer.stop(), receipt);
  assert.equal(server.requestsTo(base).filter((each) => each.verb === 'stop').length, 1);
});

test('a question that does not get through is not asked any more once it is stopped', async () => {
  const answer = new Answer({ prompt: 'x', base: 'http://127.0.0.1:1' });
  const ends = read(answer);
  assert.equal(await answer.stop(), null);
  assert.equal((await ends).last.state, 'stopped');
});

test('whoever aborts only stops reading', async () => {
  const controller = new AbortController();
  const base = server.begin('stalls');
  const types = [];
  for await (const { type } of new Answer({ prompt: 'x', base, signal: controller.signal })) {
    types.push(type);
    if (type === 'text') controller.abort();
  }
  assert.equal(types.includes('done'), false);
  assert.equal(server.requestsTo(base).length, 1);
});

test('an answer that has ended can go on behind its end', async () => {
  const { answer, requests } = await follow('good-then-nothing-more');
  assert.equal((await read(answer.continue())).last.type, 'done');
  const later = requests.slice(1);
  assert.deepEqual(later.map(({ verb }) => verb), ['continue', 'events', undefined]);
  assert.deepEqual(seqs(later), [String(LAST)]);
});

test('a token goes with every request, and never into an address', async () => {
  const base = server.begin('wrong-digest');
  await read(new Answer({ prompt: 'x', base, token: 's3cret' }));
  for (const { headers } of server.requestsTo(base)) assert.equal(headers.authorization, 'Bearer s3cret');
});
