// Third-party modules, and those that work with them, each loaded once, when it is first needed; the page is usable before, and without them.

const VENDOR = new URL('../../vendor/', import.meta.url);
const loads = new Map();

/** Load what parses and cleans Markdown, and what of ours works with it: { library, Flow, Grammar }. */
export function loadMarkdown() {
  return once('markdown', async () => {
    const [marked, purify, { Flow }, { Grammar }] = await Promise.all([
      load('marked/marked.js'), load('dompurify/purify.js'), import('./flow.js'), import('./grammar.js'),
    ]);
    return { library: { Marked: marked.Marked, purify: purify.default }, Flow, Grammar };
  });
}

/** Load what sets formulas, with its style sheet. */
export function loadKatex() {
  return once('katex', async () => {
    const [katex] = await Promise.all([load('katex/katex.js'), loadStyle('katex/katex.min.css')]);
    return katex.default;
  });
}

/** Load what colours code, with a language that it has. */
export async function loadHighlighter(language) {
  const { default: highlighter } = await once('highlight', () => load('highlight/core.js'));
  const grammar = await once(`highlight/${language}`, () => load(`highlight/languages/${language}.js`));
  if (!highlighter.getLanguage(language)) highlighter.registerLanguage(language, grammar.default);
  return highlighter;
}

function once(name, begin) {
  if (!loads.has(name)) {
    const loading = begin();
    loading.catch(() => loads.delete(name)); // the next need tries again
    loads.set(name, loading);
  }
  return loads.get(name);
}

function load(path) {
  return import(new URL(path, VENDOR));
}

function loadStyle(path) {
  return new Promise((resolve, reject) => {
    const link = document.createElement('link');
    Object.assign(link, { rel: 'stylesheet', href: new URL(path, VENDOR), onload: resolve, onerror: reject });
    document.head.append(link);
  });
}
