import assert from 'node:assert/strict';
import test from 'node:test';

import { isEventStream, readEvents } from '../../static/js/sse.js';

const POEM = 'event: open\ndata: {}\n\ndata: 東邊\ndata: 日出\nid: a:2\n\n';

function bodyOf(...chunks) {
  return new Blob(chunks).stream();
}

async function all(events) {
  const found = [];
  for await (const { event, data, id } of events) found.push([event, data, id]);
  return found;
}

test('events come out whole, however the bytes are cut', async () => {
  const bytes = new TextEncoder().encode(POEM);
  const expected = [
    ['open', '{}', undefined],
    [undefined, '東邊\n日出', 'a:2'],
  ];
  for (let cut = 0; cut <= bytes.length; cut += 1) {
    const body = ReadableStream.from([bytes.slice(0, cut), bytes.slice(cut)]);
    assert.deepEqual(await all(readEvents(body)), expected, `cut at ${cut}`);
  }
});

test('an event without its blank line is not an event', async () => {
  assert.deepEqual(await all(readEvents(bodyOf('data: half\n'))), []);
});

test('a body that falls silent ends, and its connection is closed', async () => {
  let cancelled = false;
  const body = new ReadableStream({
    start: (controller) => controller.enqueue(new TextEncoder().encode('data: 1\n\n')),
    cancel: () => (cancelled = true),
  });
  assert.equal((await all(readEvents(body, 20))).length, 1);
  assert.equal(cancelled, true);
});

test('whoever leaves the loop closes the connection', async () => {
  let cancelled = false;
  const body = new ReadableStream({
    pull: (controller) => controller.enqueue(new TextEncoder().encode('data: 1\n\n')),
    cancel: () => (cancelled = true),
  });
  for await (const { data } of readEvents(body)) if (data) break;
  assert.equal(cancelled, true);
});

test('an event that never ends is refused', async () => {
  const piece = new TextEncoder().encode(`data: ${'x'.repeat(2_100_000)}`);
  await assert.rejects(all(readEvents(ReadableStream.from([piece, piece, piece]))));
});

test('only a good answer of the right type is an event stream', () => {
  const answer = (type, status = 200) => new Response('', { status, headers: { 'Content-Type': type } });
  assert.equal(isEventStream(answer('text/event-stream; charset=utf-8')), true);
  assert.equal(isEventStream(answer('text/html')), false);
  assert.equal(isEventStream(answer('text/event-stream', 503)), false);
});
