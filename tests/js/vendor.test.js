// What scripts/vendor.mjs puts into static/vendor must load in a browser: no bundler, no import map.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';

import { LANGUAGES } from '../../static/js/markdown/languages.js';

const SCRIPT = fileURLToPath(new URL('../../scripts/vendor.mjs', import.meta.url));
const target = mkdtempSync(join(tmpdir(), 'vendor-'));
const parser = join(target, 'eventsource-parser');
after(() => rmSync(target, { recursive: true }));

// Twice: a second run replaces what the first has left.
for (let i = 0; i < 2; i++) execFileSync(process.execPath, [SCRIPT, target]);

const FOLDERS = {
  'eventsource-parser': /^(?:LICENSE|\w+\.js)$/,
  marked: /^(?:LICENSE|marked\.js)$/,
  dompurify: /^(?:LICENSE(?:-MPL)?|purify\.js)$/,
  katex: /^(?:LICENSE|katex\.js|katex\.min\.css|fonts(?:\/[\w-]+\.woff2)?)$/,
  highlight: /^(?:LICENSE|core\.js|languages(?:\/[\w-]+\.js)?)$/,
};
const files = (name) => readdirSync(join(target, name), { recursive: true });

test('nothing but whole modules, what they need, and their licences is left in the folder', () => {
  assert.deepEqual(readdirSync(target).toSorted(), Object.keys(FOLDERS).toSorted());
  for (const [name, known] of Object.entries(FOLDERS)) {
    assert.ok(files(name).includes('LICENSE'));
    for (const file of files(name)) assert.match(file, known);
  }
});

test('every import is relative, names a file with its ending, and the file is there', () => {
  for (const name of files('eventsource-parser').filter((name) => name.endsWith('.js'))) {
    const code = readFileSync(join(parser, name), 'utf8').replace(/\/\*[^]*?\*\//g, '');
    for (const [, specifier] of code.matchAll(/\b(?:from|import)\s*\(?\s*['"]([^'"]+)['"]/g)) {
      assert.match(specifier, /^\.\/.+\.js$/);
      assert.ok(existsSync(join(parser, specifier)), `${name}: ${specifier}`);
    }
  }
});

const MODULES = ['marked/marked.js', 'dompurify/purify.js', 'katex/katex.js', 'highlight/core.js'];

for (const module of MODULES) {
  test(`${module} loads from its folder, alone`, async () => {
    const code = readFileSync(join(target, module), 'utf8');
    assert.doesNotMatch(code, /^\s*import\b[^(]*['"]|\bfrom\s*['"][^'"]+['"];?$/m);
    assert.ok(await import(pathToFileURL(join(target, module)).href));
  });
}

test('every language that can be coloured is a grammar in a file of its own', async () => {
  for (const name of LANGUAGES) {
    const { default: grammar } = await import(pathToFileURL(join(target, 'highlight/languages', `${name}.js`)).href);
    assert.equal(typeof grammar, 'function', name);
  }
});

test('the fonts that the style sheet of the formulas names are there, in the one format that every browser takes', () => {
  const css = readFileSync(join(target, 'katex/katex.min.css'), 'utf8');
  const named = [...css.matchAll(/url\((fonts\/[\w-]+\.woff2)\)/g)].map(([, path]) => path);
  assert.ok(named.length > 10);
  assert.deepEqual(named.filter((path) => !existsSync(join(target, 'katex', path))), []);
});

test('the copy of the parser loads from its folder and parses', async () => {
  const { createParser } = await import(pathToFileURL(join(parser, 'index.js')).href);
  const events = [];
  createParser({ onEvent: (event) => events.push(event.data) }).feed('data: hello\n\n');
  assert.deepEqual(events, ['hello']);
});
