// Formulas, set by KaTeX once each; until it is loaded, and where it finds a mistake, they stand there as they were written.

import { loadKatex } from './libraries.js';

const MOST_CHARS = 2000;
const KEPT = 500;
const FEW = 3; // so many are set together with the words around them
const OPTIONS = { throwOnError: true, trust: false, strict: 'ignore', maxSize: 20, maxExpand: 200, output: 'htmlAndMathml' };
const set = new Map(); // what was written -> the node that shows it
let katex = null;

/** Put the formulas that are known into a fragment, and a few others; gives whether there are more. */
export function putFormulas(fragment) {
  let few = katex ? FEW : 0;
  let others = false;
  for (const code of unset(fragment)) {
    if (set.has(keyOf(code)) || few-- > 0) code.replaceWith(formula(code).cloneNode(true));
    else others = true;
  }
  return others;
}

/** Load what sets them; calls back when it has come. If it does not, they stay as they were written. */
export function prepareFormulas(ready) {
  loadKatex().then((loaded) => {
    katex = loaded;
    ready();
  }, () => {});
}

/** Set the formulas in an element until a time; gives whether some are left. */
export function setFormulas(element, deadline) {
  for (const code of unset(element)) {
    code.replaceWith(formula(code).cloneNode(true));
    if (performance.now() > deadline) return true;
  }
  return false;
}

function unset(root) {
  return root.querySelectorAll('code[data-math]:not([data-faulty])');
}

function keyOf(code) {
  return code.dataset.math + code.textContent;
}

function formula(code) {
  const key = keyOf(code);
  if (!set.has(key)) set.set(key, make(code));
  if (set.size > KEPT) set.delete(set.keys().next().value);
  return set.get(key);
}

function make(code) {
  const display = code.dataset.math === 'block';
  try {
    if (code.textContent.length > MOST_CHARS) throw new Error('too long');
    const node = document.createElement('span');
    node.className = display ? 'formula formula--display' : 'formula';
    if (display) node.tabIndex = 0; // it may scroll
    katex.render(code.textContent, node, { ...OPTIONS, displayMode: display });
    return node;
  } catch {
    code.dataset.faulty = 'yes';
    return code;
  }
}
