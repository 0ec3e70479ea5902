// Third-party modules, and those that work with them, each loaded once, when it is first needed; the page is usable before, and without them.

const FORMULA_FONTS = ['1em KaTeX_Main', 'italic 1em KaTeX_Math']; // if one came later, lines would break elsewhere
const FIRST_FORMULA = 'x'; // code is slow when it is first used
const VENDOR = new URL('../../vendor/', import.meta.url);
const loads = new Map();

/** Load what parses and cleans Markdown, and what of ours works with it: { library, Flow, Grammar }. */
export function loadMarkdown() {
  return once('markdown', async () => {
    const [marked, purify, { cleaner }, { Flow }, { Grammar }, { tryOut }] = await Promise.all([
      load('marked/marked.js'), load('dompurify/purify.js'),
      import('./clean.js'), import('./flow.js'), import('./grammar.js'), import('./sample.js'),
      document.querySelector('link[href$="/prose.css"]') ?? loadStyle('../css/prose.css'),
    ]);
    const library = { Marked: marked.Marked, clean: cleaner(purify.default) };
    await tryOut(new Grammar(library));
    return { library, Flow, Grammar };
  });
}

/** Load what sets formulas, with its style sheet and the fonts that nearly all of them use. */
export function loadKatex() {
  return once('katex', async () => {
    const [{ default: katex }] = await Promise.all([load('katex/katex.js'), loadStyle('katex/katex.min.css').then(loadFonts)]);
    katex.renderToString(FIRST_FORMULA); // here and not in a frame that has words to show
    return katex;
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
    document.querySelector('link[media=print]').before(link);
  });
}

function loadFonts() {
  return Promise.allSettled(FORMULA_FONTS.map((font) => document.fonts.load(font)));
}
