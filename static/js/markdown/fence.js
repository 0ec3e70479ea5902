// A code fence that is still open: what comes is appended to its block, and nothing is parsed but its last line.

import { CodeBlock } from './code_block.js';
import { openFence } from './tail.js';

const OPENING = /^( {0,3})(`{3,}|~{3,})([^\n]*)\n/;
const PIECE_CHARS = 4000; // more than that waits for the next turn

/** Give the fence that a block opens and does not close, or null; `at` is where the block stands in the text. */
export function fenceOf(block, at) {
  const [opening, indent, marker, info] = OPENING.exec(block?.type === 'code' ? block.raw : '') ?? [];
  if (!opening || !openFence(block.raw.split('\n'))) return null;
  return new Fence(marker, indent.length, info.trim().split(/\s/)[0], at + opening.length);
}

class Fence {
  done = false;
  at; // how far the text is shown
  #closing;
  #maybe;
  #indent;

  constructor(marker, indent, language, at) {
    this.block = new CodeBlock(language);
    this.at = at;
    this.#indent = indent;
    this.#closing = new RegExp(`^ {0,3}${marker[0]}{${marker.length},}[ \\t]*$`, 'gm');
    this.#maybe = new RegExp(`^ {0,3}${marker[0]}+[ \\t]*$`);
  }

  /** Show what has come; gives whether more of it waits. */
  advance(source, ended) {
    const line = source.lastIndexOf('\n', this.at - 1) + 1;
    const [end, behind] = this.#end(source, line, ended);
    const to = Math.min(end, this.at + PIECE_CHARS);
    this.block.append(this.#code(source, to));
    this.at = to;
    this.done = to === end && behind > end;
    if (this.done) this.at = behind;
    return this.done || to < end;
  }

  /** Where the code ends, and where what comes behind it begins. */
  #end(source, line, ended) {
    this.#closing.lastIndex = line;
    const found = this.#closing.exec(source);
    const behind = found && found.index + found[0].length;
    if (found && (ended || source[behind] === '\n')) return [found.index, behind + 1];
    const last = source.lastIndexOf('\n') + 1;
    const hidden = !ended && last >= this.at && this.#maybe.test(source.slice(last));
    return hidden ? [last, last] : [source.length, source.length];
  }

  #code(source, to) {
    if (to <= this.at) return '';
    if (!this.#indent) return source.slice(this.at, to);
    return source.slice(this.at - 1, to).replace(new RegExp(`(?<=\\n) {1,${this.#indent}}`, 'g'), '').slice(1);
  }
}
