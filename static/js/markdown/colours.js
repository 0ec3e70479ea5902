// Code in colours, once it is whole; what is very long stays in ink.

import { highlight } from './highlighter.js';
import { languageOf } from './languages.js';

const MOST_CHARS = 100_000;
const AT_ONCE_CHARS = 8000; // will be laid out together
const COLOURED = 'span:not(.code__part, .code__rest)';

export class Colours {
  #waiting = []; // { text, data, parts }: a text node, what it has to say, and how that is coloured
  #wake;

  constructor(wake) {
    this.#wake = wake;
  }

  /** Colour the code in these nodes, soon. */
  add(nodes) {
    for (const node of nodes) {
      for (const code of node.querySelectorAll?.('pre > code[data-language]') ?? []) this.#add(code);
    }
  }

  /** Say if some code waits. */
  get waits() {
    return this.#waiting.length > 0;
  }

  /** Colour until a time; gives whether some is left. */
  set(deadline) {
    for (let chars = 0; this.waits && chars < AT_ONCE_CHARS; ) {
      const { text, data, parts } = this.#waiting.shift();
      if (text.isConnected && text.data === data) text.replaceWith(nodes(parts));
      chars += data.length;
      if (performance.now() > deadline) break;
    }
    return this.waits;
  }

  async #add(code) {
    const language = languageOf(code.dataset.language);
    if (!language || code.textContent.length > MOST_CHARS || code.querySelector(COLOURED)) return;
    const texts = textsIn(code);
    const data = texts.map((text) => text.data);
    const coloured = await highlight(data, language).catch(() => []); // then it stays in ink
    coloured.forEach((parts, at) => this.#waiting.push({ text: texts[at], data: data[at], parts }));
    this.#wake();
  }
}

function textsIn(element) {
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  const texts = [];
  while (walker.nextNode()) texts.push(walker.currentNode);
  return texts;
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
