// A block of code: its language, a button that copies it, and its text, which may grow.

import { part } from './parts.js';

const PART_CHARS = 4000; // so many together are laid out again when one is added
const HALF = /[\ud800-\udbff]$/; // of a character

export class CodeBlock {
  #code;

  constructor(language, text = '') {
    this.figure = part('code');
    this.language = language;
    this.#code = this.figure.querySelector('code');
    this.figure.querySelector('[data-code-language]').textContent = language;
    const scroller = this.figure.querySelector('pre');
    scroller.ariaLabel = [scroller.ariaLabel, language].filter(Boolean).join(': ');
    this.#code.dataset.language = language;
    this.append(text);
  }

  /** Append text, in parts that end with a line; what a very long line has over a part's measure is in pieces of their own. */
  append(text) {
    for (let from = 0; from < text.length; ) {
      const last = this.#last();
      const full = isRest(last) ? from : from + Math.max(PART_CHARS - last.length, 0);
      const line = text.indexOf('\n', full);
      const to = Math.min(line < 0 ? text.length : line + 1, full + PART_CHARS);
      last.appendData(text.slice(from, to));
      from = to;
    }
  }

  /** The text node that grows. */
  #last() {
    const part = this.#code.lastChild;
    const text = isRest(part?.lastChild?.firstChild) ? part.lastChild.firstChild : part?.firstChild;
    const { length = 0, data = '' } = text ?? {};
    if (!text || (data.endsWith('\n') && (length >= PART_CHARS || isRest(text)))) return grow(this.#code, 'code__part');
    if (length < PART_CHARS || HALF.test(data)) return text;
    return grow(part, 'code__rest');
  }
}

function isRest(text) {
  return text?.parentElement.className === 'code__rest';
}

function grow(parent, className) {
  const span = document.createElement('span');
  span.className = className;
  span.append(document.createTextNode(''));
  parent.append(span);
  return span.firstChild;
}
