// What scripts/vendor.mjs puts into static/vendor must load in a browser: no bundler, no import map.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';

const SCRIPT = fileURLToPath(new URL('../../scripts/vendor.mjs', import.meta.url));
const target = mkdtempSync(join(tmpdir(), 'vendor-'));
const parser = join(target, 'eventsource-parser');
after(() => rmSync(target, { recursive: true }));

// Twice: a second run replaces what the first has left.
for (let i = 0; i < 2; i++) execFileSync(process.execPath, [SCRIPT, target]);

test('nothing but whole modules and their licences is left in the folder', () => {
  assert.deepEqual(readdirSync(target), ['eventsource-parser']);
  assert.ok(readdirSync(parser).every((name) => name === 'LICENSE' || name.endsWith('.js')));
});

test('every import is relative, names a file with its ending, and the file is there', () => {
  for (const name of readdirSync(parser).filter((name) => name.endsWith('.js'))) {
    const code = readFileSync(join(parser, name), 'utf8').replace(/\/\*[^]*?\*\//g, '');
    for (const [, specifier] of code.matchAll(/\b(?:from|import)\s*\(?\s*['"]([^'"]+)['"]/g)) {
      assert.match(specifier, /^\.\/.+\.js$/);
      assert.ok(existsSync(join(parser, specifier)), `${name}: ${specifier}`);
    }
  }
});

test('the copy of the parser loads from its folder and parses', async () => {
  const { createParser } = await import(pathToFileURL(join(parser, 'index.js')).href);
  const events = [];
  createParser({ onEvent: (event) => events.push(event.data) }).feed('data: hello\n\n');
  assert.deepEqual(events, ['hello']);
});
