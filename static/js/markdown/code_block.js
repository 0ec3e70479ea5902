// A block of code: its language, a button that copies it, and its text, which may grow.

import { part } from './parts.js';

const PART_CHARS = 4000; // so many together are laid out again when one is added

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

  /** Append text, in parts that end with a line. */
  append(text) {
    for (let from = 0; from < text.length; ) {
      const last = this.#last();
      const room = PART_CHARS - last.data.length;
      const line = text.indexOf('\n', from + Math.max(room, 0));
      const to = line < 0 ? text.length : line + 1;
      last.appendData(text.slice(from, to));
      from = to;
    }
  }

  /** The text node that grows: one in a part of its own once the part before is full. */
  #last() {
    const text = this.#code.lastChild?.firstChild;
    if (text && (text.data.length < PART_CHARS || !text.data.endsWith('\n'))) return text;
    const span = document.createElement('span');
    span.className = 'code__part';
    span.append(document.createTextNode(''));
    this.#code.append(span);
    return span.firstChild;
  }
}
