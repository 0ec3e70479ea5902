// A block of code: its language, a button that copies it, and its text, which may grow.

import { part } from './parts.js';

const PART_CHARS = 4000; // so many together are laid out again when one is added
const HALF = /[\ud800-\udbff]$/; // of a character

export class CodeBlock {
  #code;
  #first = null; // text node, which goes when the code is coloured
  #text = null; // the one that grows

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
    if (this.#first?.parentNode === null) this.#ink();
    for (let from = 0; from < text.length; ) {
      const last = (this.#text = this.#last());
      const full = isRest(last) ? from : from + Math.max(PART_CHARS - last.length, 0);
      const line = text.indexOf('\n', full);
      const to = Math.min(line < 0 ? text.length : line + 1, full + PART_CHARS);
      this.#first ??= last;
      last.appendData(text.slice(from, to));
      from = to;
    }
  }

  #last() {
    const text = this.#text;
    const isFull = text?.length >= PART_CHARS;
    if (!text || (text.data.endsWith('\n') && (isFull || isRest(text)))) return grow(this.#code, 'code__part');
    return isFull && !HALF.test(text.data) ? grow(this.#code.lastChild, 'code__rest') : text;
  }

  /** It goes on after its end, and was coloured there: that goes again. */
  #ink() {
    const text = this.#code.textContent;
    this.#code.replaceChildren();
    this.#first = this.#text = null;
    this.append(text);
  }
}

function isRest(text) {
  return text.parentNode.className === 'code__rest';
}

function grow(parent, className) {
  const span = document.createElement('span');
  span.className = className;
  span.append(document.createTextNode(''));
  parent.append(span);
  return span.firstChild;
}
