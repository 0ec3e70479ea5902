// The parser that the browser uses, fed as static/js/sse.js feeds it: bytes through a streaming TextDecoder.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createParser } from 'eventsource-parser';
import { bytes, chunkings, decoderCases, encoderCases, generatedCases, ourCases, recorded, utf8 } from './tables.js';

const message = (data, lastEventId = '') => ({ type: 'message', data, lastEventId });

function decode(chunks, lastEventId = '') {
  const got = { events: [], comments: [], retry: null, lastEventId };
  const text = new TextDecoder();
  const parser = createParser({
    onId: (id) => (got.lastEventId = id),
    onEvent: ({ event = 'message', data }) => got.events.push({ type: event, data, lastEventId: got.lastEventId }),
    onRetry: (ms) => (got.retry = ms),
    onComment: (comment) => got.comments.push(comment),
  });
  for (const chunk of chunks) parser.feed(text.decode(chunk, { stream: true }));
  return got;
}

// ---- where the parser behind a TextDecoder differs from the standard, and what it does instead ----------------------

const DEVIATIONS = [
  {
    // The TextDecoder takes the first BOM, the parser one more; by the standard the second spoils the first line.
    name: 'format-bom-2',
    wire: '\ufeff\ufeffdata:1\n\ndata:2\n\ndata:3\n\n\n',
    standard: [message('2'), message('3')],
    instead: [message('1'), message('2'), message('3')],
  },
  {
    // The parser also knows a BOM whose bytes were read as Latin-1; by the standard that text spoils the first line.
    name: 'the bytes of a BOM, read as Latin-1 and sent as UTF-8',
    wire: '\u00ef\u00bb\u00bfdata: 1\n\ndata: 2\n\n',
    standard: [message('2')],
    instead: [message('1'), message('2')],
  },
];

for (const { name, wire, standard, instead } of DEVIATIONS) {
  test(`deviation as it is, in every chunking: ${name}`, () => {
    const known = decoderCases.find((c) => c.name === name);
    if (known) assert.deepEqual([new Uint8Array(Buffer.concat(known.chunks)), known.expected_events], [utf8(wire), standard]);
    for (const chunks of chunkings([utf8(wire)])) assert.deepEqual(decode(chunks).events, instead);
  });
}

test('deviation as it is: a comment is handed out without the one blank after its colon', () => {
  assert.deepEqual(decode([utf8(': ping\n:ping\n:  ping\n')]).comments, ['ping', 'ping', ' ping']);
});

test('no deviation is met in what our server writes: each block begins with a field name or a colon', () => {
  const blocks = [...ourCases.map((c) => c.wire), ': ping\n'];
  for (const block of blocks) assert.match(block, /^(retry|event|data|): /);
});

// ---- the tables ------------------------------------------------------------------------------------------------------

for (const c of decoderCases.filter(({ name }) => !DEVIATIONS.some((d) => d.name === name))) {
  test(`the same events in every chunking: ${c.name}`, () => {
    for (const chunks of chunkings(c.chunks)) {
      const got = decode(chunks, c.initial_last_event_id ?? '');
      assert.deepEqual(got.events, c.expected_events);
      if (c.expected_comments) assert.deepEqual(got.comments, c.expected_comments.map((text) => text.replace(/^ /, '')));
      if (c.expected_last_event_id === undefined) continue; // the LaunchDarkly table does not say
      assert.deepEqual([got.retry, got.lastEventId], [c.expected_retry, c.expected_last_event_id]);
    }
  });
}

for (const { name, generate } of generatedCases) {
  test(`an event of many megabytes: ${name}`, () => {
    const data = 'Zm9v+/9a'.repeat(Math.ceil(generate.length / 8)).slice(0, generate.length);
    const wire = new Uint8Array(Buffer.concat([bytes(generate.prefix_b64), utf8(data), bytes(generate.suffix_b64)]));
    for (const size of [Math.ceil(wire.length / generate.writes), 16_384]) {
      const chunks = Array.from({ length: Math.ceil(wire.length / size) }, (_, i) => wire.subarray(i * size, (i + 1) * size));
      const { events } = decode(chunks);
      assert.equal(events.length, 1);
      assert.ok(events[0].data === data);
    }
  });
}

for (const { name, wire } of recorded) {
  test(`the same events in every chunking: recorded/${name}`, () => {
    const lines = new TextDecoder().decode(wire).split('\n').filter(Boolean);
    const want = lines.map((line) => message(line.slice('data: '.length)));
    for (const chunks of chunkings([wire])) assert.deepEqual(decode(chunks).events, want);
  });
}

for (const c of encoderCases) {
  test(`what a peer's encoder writes: ${c.name}`, () => {
    const got = decode([bytes(c.expected_bytes)]);
    assert.deepEqual([got.events, got.retry], [c.decodes_to, c.decodes_to_retry]);
  });
}

for (const c of ourCases) {
  test(`what our encoder writes, with pings between: ${c.name}`, () => {
    for (const chunks of chunkings([utf8(`: ping\n${c.wire}: ping\n`)])) {
      const got = decode(chunks);
      assert.deepEqual([got.events, got.retry], [[c.decodes_to], c.decodes_to_retry]);
      assert.deepEqual(got.comments, ['ping', 'ping']);
    }
  });
}
