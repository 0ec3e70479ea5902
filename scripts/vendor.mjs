// Copies the browser's third-party modules from node_modules into static/vendor/<name>/, as they are: ES modules that
// import each other by relative paths, so that a page needs neither a bundler nor an import map.

import { cp, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const HIGHLIGHT = '@highlightjs/cdn-assets';

const MODULES = [
  // package, files as they are called there and here; `*` stands for a name
  ['eventsource-parser', [['dist/*.js', '*.js']]],
  ['marked', [['lib/marked.esm.js', 'marked.js']]],
  ['dompurify', [['dist/purify.es.mjs', 'purify.js'], ['LICENSE-MPL', 'LICENSE-MPL']]],
  ['katex', [['dist/katex.mjs', 'katex.js'], ['dist/katex.min.css', 'katex.min.css'], ['dist/fonts/*.woff2', 'fonts/*.woff2']]],
  [HIGHLIGHT, [['es/core.min.js', 'core.js'], ['es/languages/*.min.js', 'languages/*.js']]],
];

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const TARGET = process.argv[2] ?? join(ROOT, 'static', 'vendor');

for (const [name, files] of MODULES) {
  const from = join(ROOT, 'node_modules', name);
  const place = name === HIGHLIGHT ? 'highlight' : name;
  const fresh = join(TARGET, `.${place}-${process.pid}`);
  await mkdir(fresh, { recursive: true });
  for (const [theirs, ours] of [['LICENSE', 'LICENSE'], ...files]) await copy(from, theirs, fresh, ours);
  // Put in place whole, so that a server that runs meanwhile never serves half of it.
  await rm(join(TARGET, place), { recursive: true, force: true });
  await rename(fresh, join(TARGET, place));
}

async function copy(from, theirs, to, ours) {
  const [before, after] = theirs.split('*');
  if (after === undefined) return cp(join(from, theirs), join(to, ours));
  for (const file of await readdir(join(from, dirname(before + 'x')))) {
    if (file.endsWith(after)) await cp(join(from, dirname(before + 'x'), file), join(to, ours.replace('*', file.slice(0, -after.length))));
  }
}
