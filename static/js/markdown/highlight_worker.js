// The thread in which code is looked through: it takes { id, texts, language } and answers { id, coloured }, in that order.

import { loadHighlighter } from './libraries.js';
import { divide, parse } from './spans.js';

let last = Promise.resolve();

addEventListener('message', ({ data: { id, ...code } }) => {
  last = last.then(() => colour(code)).catch(() => null).then((coloured) => postMessage({ id, coloured }));
});

async function colour({ texts, language }) {
  const highlighter = await loadHighlighter(language);
  const { value } = highlighter.highlight(texts.join(''), { language, ignoreIllegals: true });
  return divide(parse(value), texts.map((text) => text.length));
}
