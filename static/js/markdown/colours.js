// Code in colours, once it is whole; what is very long stays in ink.

import { languageOf } from './languages.js';
import { loadHighlighter } from './libraries.js';
import { parse } from './spans.js';

const MOST_CHARS = 20_000;

export class Colours {
  #waiting = [];
  #wake;

  constructor(wake) {
    this.#wake = wake;
  }

  /** Colour the code in these nodes, soon. */
  add(nodes) {
    for (const node of nodes) this.#add(node);
  }

  /** Say if some code waits. */
  get waits() {
    return this.#waiting.length > 0;
  }

  /** Colour until a time; gives whether some is left. */
  set(deadline) {
    while (this.#waiting.length) {
      const { code, highlighter, language } = this.#waiting.shift();
      if (code.isConnected) colour(code, highlighter, language);
      if (performance.now() > deadline) break;
    }
    return this.waits;
  }

  #add(node) {
    for (const code of node.querySelectorAll?.('pre > code[data-language]') ?? []) {
      const language = languageOf(code.dataset.language);
      if (!language || code.textContent.length > MOST_CHARS) continue;
      loadHighlighter(language).then((highlighter) => {
        this.#waiting.push({ code, highlighter, language });
        this.#wake();
      }, () => {}); // then it stays in ink
    }
  }
}

function colour(code, highlighter, language) {
  const { value } = highlighter.highlight(code.textContent, { language, ignoreIllegals: true });
  code.replaceChildren(nodes(parse(value)));
}

function nodes(parts) {
  const fragment = document.createDocumentFragment();
  for (const each of parts) fragment.append(typeof each === 'string' ? each : span(each));
  return fragment;
}

function span({ classes, parts }) {
  const element = document.createElement('span');
  element.className = classes;
  element.append(nodes(parts));
  return element;
}
