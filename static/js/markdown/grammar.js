// Markdown into blocks, and blocks into clean nodes.

import { SYNTAX } from './syntax.js';

const TOO_DEEP = /^(?:[ \t]*(?:>|[-*+][ \t]|\d{1,9}[.)][ \t])){24}/m; // a parser that calls itself has a bottom

export class Grammar {
  #marked;
  #clean;

  constructor({ Marked, clean }) {
    this.#marked = new Marked(SYNTAX);
    this.#clean = clean;
  }

  /** Split a text into its top-level blocks (marked's tokens). `links` are the targets that `[text][name]` may name. */
  blocks(text, links = {}) {
    const from = text.search(TOO_DEEP);
    if (from < 0) return this.#lex(text, links);
    const gap = text.indexOf('\n\n', from);
    const to = gap < 0 ? text.length : gap;
    return [...this.#lex(text.slice(0, from), links), asText(text.slice(from, to)), ...this.blocks(text.slice(to), links)];
  }

  #lex(text, links) {
    try {
      const lexer = new this.#marked.Lexer(this.#marked.defaults);
      Object.assign(lexer.tokens.links, links);
      const blocks = lexer.lex(text);
      return text.startsWith(before(blocks)) ? blocks : [asText(text)]; // of what is finished, nothing may be lost
    } catch {
      return [asText(text)];
    }
  }

  /** Say how deep the headings of blocks stand in the page. */
  level(blocks, outline) {
    this.#marked.walkTokens(blocks, (token) => {
      if (token.type === 'heading') token.level = outline.level(token.depth);
    });
  }

  /** Make the clean nodes of a block. */
  nodes(block) {
    return this.#clean(this.#marked.parser([block]));
  }
}

/** The text in front of the last block; of that one itself the parser drops blanks. */
function before(blocks) {
  const last = blocks.findLastIndex(({ type }) => type !== 'space');
  return blocks.slice(0, Math.max(last, 0)).map(({ raw }) => raw).join('');
}

function asText(text) {
  return { type: 'paragraph', raw: text, text, tokens: [{ type: 'text', raw: text, text }] };
}
