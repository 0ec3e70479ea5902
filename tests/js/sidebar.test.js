// The list's pure parts: the reader's own days, and what is listed.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ageOf } from '../../static/js/sidebar/ages.js';
import { Found, Shelf } from '../../static/js/sidebar/shelf.js';

const NOON = new Date(2026, 10, 22, 12);
const one = (id, changed, more) => ({ id, title: id, changed, pinned: false, ...more });
const ids = (list) => list.map((each) => each.id);

for (const [days, age] of [[0, 'today'], [1, 'yesterday'], [2, 'week'], [7, 'week'], [8, 'earlier'], [400, 'earlier']]) {
  test(`what changed ${days} days ago stands under ${age}, late or early in its day`, () => {
    for (const hour of [0, 11]) assert.equal(ageOf(new Date(2026, 10, 22 - days, hour), NOON), age);
  });
}

test('a clock that goes wrong by hours puts nothing into a group of its own', () => {
  assert.equal(ageOf(new Date(2026, 10, 23, 1), NOON), 'today');
});

test('what is pinned stands first, and everything else by its last change', () => {
  const shelf = new Shelf();
  const pages = [one('a', '2026-11-22T10:00:00Z'), one('b', '2026-11-22T11:00:00Z'), one('c', '2026-11-01T11:00:00Z', { pinned: true })];
  shelf.add({ conversations: pages, before: null });
  const { pinned, today, earlier } = shelf.groups(new Date('2026-11-22T12:00:00Z'));
  assert.deepEqual([ids(pinned), ids(today), ids(earlier)], [['c'], ['b', 'a'], []]);
});

test('what belongs to a page that was not asked for waits for it, unless it is pinned', () => {
  const shelf = new Shelf();
  shelf.add({ conversations: [one('a', '2026-11-22T10:00:00Z')], before: 'cursor' });
  shelf.put(one('older', '2026-11-21T10:00:00Z'));
  assert.equal(shelf.get('older'), undefined);
  shelf.put(one('older', '2026-11-21T10:00:00Z', { pinned: true }));
  assert.equal(shelf.get('older').pinned, true);
  shelf.put(one('newer', '2026-11-22T11:00:00Z'));
  assert.equal(shelf.size, 3);
  shelf.put(one('older', '2026-11-21T10:00:00Z'));
  assert.equal(shelf.get('older'), undefined);
});

test('the next page goes behind the one before it', () => {
  const shelf = new Shelf();
  shelf.add({ conversations: [one('a', '2026-11-22T10:00:00Z')], before: 'cursor' });
  shelf.add({ conversations: [one('b', '2026-11-20T10:00:00Z')], before: null });
  shelf.put(one('c', '2026-11-01T10:00:00Z'));
  assert.equal(shelf.size, 3);
  shelf.drop('b');
  assert.equal(shelf.size, 2);
});

test('what is found keeps the order of the search: changes are seen in it, and nothing comes by itself', () => {
  const found = new Found();
  found.add({ conversations: [one('b', '2026-11-01T10:00:00Z'), one('a', '2026-11-22T10:00:00Z')], before: null });
  found.put(one('a', '2026-11-22T11:00:00Z', { title: 'new' }));
  found.put(one('c', '2026-11-22T11:00:00Z'));
  assert.deepEqual(found.groups().found.map((each) => each.title), ['b', 'new']);
  found.drop('b');
  assert.deepEqual(ids(found.groups().found), ['a']);
  found.add({ conversations: [one('a', '2026-11-22T11:00:00Z')], before: null });
  assert.deepEqual(ids(found.groups().found), ['a']);
});
