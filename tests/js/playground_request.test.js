import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import test from 'node:test';

import { asCurl, quote } from '../../static/js/playground/curl.js';
import { newKey, underKey } from '../../static/js/playground/cut.js';
import { buildRequest } from '../../static/js/playground/request.js';

const ORIGIN = 'http://127.0.0.1:8000';
const EVENTS = 'text/event-stream';
const POEM = { method: 'GET', path: '/talkeAbouttestEvent', fields: ['prompt'], accept: EVENTS };
const SEND = { method: 'POST', path: '/sse/send/{user_id}', fields: ['user_id', 'data', 'event'], accept: EVENTS };
const STREAM = { method: 'POST', path: '/stream', fields: ['name'], accept: 'text/plain' };
const NASTY = ["it's", '$HOME `id` "x" \\ !!', 'two\nlines', "''", '', '什么 [a-z] {b}', '@file', '%s', '-d'];

/** Have the shell itself read what was quoted. */
function readByShell(words) {
  return execFileSync('sh', ['-c', `printf '%s\\0' ${words}`], { encoding: 'utf8' }).slice(0, -1).split('\0');
}

test('a GET carries its fields in the query', () => {
  const { url, body } = buildRequest(POEM, { prompt: 'a b&c=什' });
  assert.equal(new URL(url, ORIGIN).searchParams.get('prompt'), 'a b&c=什');
  assert.equal(body, '');
});

test('a POST carries as JSON what is not in its path', () => {
  const { url, body, headers } = buildRequest(SEND, { user_id: 'a/b ?', data: '{"n": 1}', event: 'note' });
  assert.equal(url, '/sse/send/a%2Fb%20%3F');
  assert.deepEqual(JSON.parse(body), { data: { n: 1 }, event: 'note' });
  assert.equal(headers['Content-Type'], 'application/json');
});

test('data that is no JSON is a string, and an empty event is left out', () => {
  const { body } = buildRequest(SEND, { user_id: 'u', data: 'hello {', event: '' });
  assert.deepEqual(JSON.parse(body), { data: 'hello {' });
});

test('a quoted word is one word for the shell, whatever stands in it', () => {
  assert.deepEqual(readByShell(NASTY.map(quote).join(' ')), NASTY);
});

test('the curl line says to the shell exactly what the request is', () => {
  for (const name of NASTY) {
    const request = buildRequest(STREAM, { name });
    const words = readByShell(asCurl(request, ORIGIN, false));
    assert.deepEqual(words.slice(0, 2), ['curl', '-N']);
    assert.equal(words[words.indexOf('--data-raw') + 1], request.body);
    assert.equal(words.at(-1), `${ORIGIN}/stream`);
  }
});

test('the curl line names the variable of the token and lets the shell fill it in', () => {
  const line = asCurl(buildRequest(STREAM, { name: 'x' }), ORIGIN, true);
  assert.match(line, /-H "Authorization: Bearer \$TOKEN"/);
});

test('a key fits what the server takes and is never the same', () => {
  assert.match(newKey(), /^[A-Za-z0-9_-]{16,64}$/);
  assert.notEqual(newKey(), newKey());
});

test('the key goes behind a query or begins one', () => {
  assert.equal(underKey({ url: '/stream' }, 'k').url, '/stream?cut=k');
  assert.equal(underKey({ url: '/x?prompt=y', body: 'b' }, 'k').url, '/x?prompt=y&cut=k');
});
