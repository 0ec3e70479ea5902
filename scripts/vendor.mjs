// Copies the browser's third-party modules from node_modules into static/vendor/<name>/, as they are: ES modules that
// import each other by relative paths, so that a page needs neither a bundler nor an import map.

import { cp, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const MODULES = [
  // name, folder of its ES modules
  ['eventsource-parser', 'dist'],
];

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const TARGET = process.argv[2] ?? join(ROOT, 'static', 'vendor');

for (const [name, folder] of MODULES) {
  const from = join(ROOT, 'node_modules', name);
  const fresh = join(TARGET, `.${name}-${process.pid}`);
  await mkdir(fresh, { recursive: true });
  await cp(join(from, 'LICENSE'), join(fresh, 'LICENSE'));
  for (const file of await readdir(join(from, folder))) {
    if (file.endsWith('.js')) await cp(join(from, folder, file), join(fresh, file));
  }
  // Put in place whole, so that a server that runs meanwhile never serves half of it.
  await rm(join(TARGET, name), { recursive: true, force: true });
  await rename(fresh, join(TARGET, name));
}
