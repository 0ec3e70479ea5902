// The blocks of a text in the page: those that are finished stay as they are, only the last ones are parsed again.

import { Colours } from './colours.js';
import { cut, LONG_CHARS } from './cut.js';
import { dress } from './dress.js';
import { fenceOf } from './fence.js';
import { prepareFormulas, putFormulas, setFormulas } from './formulas.js';
import { Outline } from './outline.js';
import { patch } from './patch.js';
import { References } from './references.js';
import { Sheets } from './sheets.js';
import { mend } from './tail.js';

const STEP_CHARS = 1000; // so much is new in what is parsed at once, if that is fast,
const SLOW_CHARS = 250; // or so much if it is not: a device may be slow, and so is code that was never used before
const [FAST_MS, SLOW_MS] = [3, 6];

export class Flow {
  at = 0; // how far the text is finished
  #step = SLOW_CHARS;
  #element;
  #grammar;
  #wake;
  #open = []; // what may still change: { raw, nodes }
  #carry = ''; // stands before what comes: the head of a table that was cut
  #fence = null;
  #outline = new Outline();
  #references = new References();
  #sheets;
  #colours;
  #formulas = 'none'; // or 'loading', 'waiting'

  constructor(element, grammar, wake) {
    this.#element = element;
    this.#grammar = grammar;
    this.#wake = wake;
    this.#colours = new Colours(wake);
    this.#sheets = new Sheets(element);
  }

  /** Bring the page one step nearer to the text, in front of the node `end`; gives whether there are more steps. */
  advance(source, ended, end) {
    const begun = performance.now();
    const more = this.#advance(source, ended, end);
    const took = performance.now() - begun;
    if (took > SLOW_MS) this.#step = Math.max(this.#step / 2, SLOW_CHARS);
    if (took < FAST_MS) this.#step = Math.min(this.#step * 2, STEP_CHARS);
    return more;
  }

  #advance(source, ended, end) {
    if (!this.at) this.at = Math.max(source.search(/\S/), 0); // blanks at the beginning mean nothing
    if (this.#fence) return this.#goOn(source, ended);
    this.#sheets.ahead = source.length - this.at;
    const to = behindLine(source, this.#begins + total(this.#open) + this.#step);
    const whole = to >= source.length;
    const next = source.slice(this.at, to);
    const text = next && this.#carry + next;
    const blocks = this.#parse(ended || !whole ? text : mend(text));
    const last = blocks.findLastIndex(({ type }) => type !== 'space');
    const fence = fenceOf(blocks[last], this.#begins + total(blocks.slice(0, last)));
    if (!fence && last === 0 && text.length > LONG_CHARS) return this.#cut(text, end);
    this.#place(blocks, end);
    if (fence) return this.#enter(fence, last, end);
    this.#finish((last < 0 && !whole) || (ended && blocks[last]?.type === 'def') ? blocks.length : last);
    if (whole && ended) this.#open.forEach((each) => this.#colours.add(each.nodes));
    return !whole;
  }

  /** Say if formulas or colours wait. */
  get owes() {
    return this.#colours.waits || this.#formulas === 'waiting';
  }

  /** Set formulas and colours until a time; gives whether some are left. */
  embellish(deadline) {
    const left = this.#colours.set(deadline);
    if (this.#formulas !== 'waiting') return left;
    if (performance.now() > deadline) return true;
    this.#formulas = setFormulas(this.#element, deadline) ? 'waiting' : 'none';
    return left || this.#formulas === 'waiting';
  }

  #parse(text) {
    const blocks = this.#grammar.blocks(text, this.#references.links);
    this.#grammar.level(blocks, this.#outline.copy());
    return blocks;
  }

  #place(blocks, end) {
    const before = this.#open;
    const after = (index) => before.slice(index + 1).flatMap(({ nodes }) => nodes)[0];
    let at = this.#begins;
    this.#open = blocks.map((block, index) => {
      const sheet = before[index]?.nodes[0]?.parentElement ?? this.#sheets.for(at, end);
      at += block.raw.length;
      return this.#put(block, before[index], sheet, after(index));
    });
    before.slice(blocks.length).forEach(({ nodes }) => nodes.forEach((node) => node.remove()));
  }

  /** Where the open blocks begin in the text; before it, if something is repeated. */
  get #begins() {
    return this.at - this.#carry.length;
  }

  #put(block, there = { nodes: [] }, sheet, after) {
    if (there.raw === block.raw) return { ...there, block };
    const fresh = block.type === 'space' ? [] : this.#make(block);
    return { raw: block.raw, block, nodes: patch(sheet, there.nodes, fresh, after?.parentElement === sheet ? after : null) };
  }

  #make(block) {
    const fragment = dress(this.#grammar.nodes(block));
    if (putFormulas(fragment)) this.#needFormulas();
    return [...fragment.children]; // without the line feeds between them
  }

  #needFormulas() {
    if (this.#formulas === 'none') prepareFormulas(() => {
      this.#formulas = 'waiting';
      this.#wake();
    });
    if (this.#formulas === 'none') this.#formulas = 'loading';
  }

  /** The first blocks will not change any more. */
  #finish(count) {
    for (const { raw, block, nodes } of this.#open.splice(0, Math.max(count, 0))) {
      this.at += raw.length - this.#carry.length;
      this.#carry = '';
      this.#colours.add(nodes);
      const outline = this.#outline.copy();
      this.#grammar.level([block], this.#outline);
      for (const each of this.#references.learn({ block, nodes, outline })) this.#again(each);
    }
  }

  /** Make a finished block anew: an address that it names has come. */
  #again(finished) {
    const [block] = this.#grammar.blocks(finished.block.raw, this.#references.links);
    this.#grammar.level([block], finished.outline.copy());
    const { nodes } = finished;
    finished.nodes = patch(nodes[0].parentElement, nodes, this.#make(block), nodes.at(-1).nextSibling);
    this.#colours.add(finished.nodes);
  }

  /** Finish the first part of a block that has become long. */
  #cut(text, end) {
    const { at, carry } = cut(this.#parse(text)[0]);
    this.#place(this.#parse(text.slice(0, at)), end);
    this.#finish(this.#open.length);
    this.#carry = carry;
    return true;
  }

  #enter(fence, index, end) {
    const at = this.#begins + total(this.#open.slice(0, index));
    this.#fence = fence;
    this.#finish(index);
    const open = this.#open.flatMap(({ nodes }) => nodes);
    (open[0]?.parentElement ?? this.#sheets.for(at, end)).insertBefore(this.#fence.block.figure, open[0] ?? null);
    open.forEach((node) => node.remove());
    this.#open = [];
    return true;
  }

  #goOn(source, ended) {
    const more = this.#fence.advance(source, ended);
    this.at = this.#fence.at;
    const { done, block } = this.#fence;
    if (done || (ended && !more)) this.#colours.add([block.figure]);
    if (done) this.#fence = null;
    return more;
  }
}

/** The next end of a line, so that no list falls apart where its next marker is cut; not if the line is long. */
function behindLine(source, at) {
  const line = source.indexOf('\n', at);
  return line < 0 || line - at > STEP_CHARS ? at : line + 1;
}

function total(blocks) {
  return blocks.reduce((sum, { raw }) => sum + raw.length, 0);
}
