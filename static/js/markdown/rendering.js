// Markdown that grows in an element. The raw text is `text`: whoever needs it takes it from there, never from the page.
// As long as the parser is not there, and for what it has not come to yet, the text stands there as it is.

import { bindCopying } from './copying.js';
import { loadMarkdown } from './libraries.js';
import { Pen } from './pen.js';
import { Plain } from './plain.js';

const MOST_STEPS = 2; // at once, however fast they are: they will be laid out together

export class Rendering {
  text = '';
  #source = ''; // the text with line feeds only
  #return = false; // did it end with a carriage return?
  #element;
  #wake;
  #fresh = null; // makes a flow, once it is loaded
  #flow = null;
  #changed = false;
  #ended = false;
  #owed = false; // formulas and colours, for which the frame before had no time: they come first
  #pen = new Pen();
  #plain = new Plain();

  /** `wake` is called whenever `step` has something to do; it is best called once per frame. */
  constructor(element, wake) {
    this.#element = element;
    this.#wake = () => wake(this);
    element.rendering = this;
    bindCopying(element);
    loadMarkdown().then((loaded) => this.#begin(loaded), () => {}); // then it stays plain
    this.append(element.textContent);
    if (!element.childElementCount) this.#plain.alone(element); // a long text stays as the server has cut it
    this.#showAll();
  }

  append(text) {
    if (!text) return;
    const joined = this.#return && text[0] === '\n' ? text.slice(1) : text;
    this.#return = text.at(-1) === '\r';
    this.#source += joined.replace(/\r\n?/g, '\n');
    this.text += text;
    this.#change(false);
  }

  /** Show another text; one that only goes on where this one ends is appended. */
  replace(text) {
    if (text.startsWith(this.text)) return this.append(text.slice(this.text.length));
    this.text = this.#source = '';
    this.#return = false;
    this.#plain.alone(this.#element);
    this.#restart();
    return this.append(text);
  }

  /** Nothing more comes: what is open at the end is no longer hidden or closed. */
  end() {
    this.#change(true);
  }

  /** Bring the page nearer to the text, until a time; gives whether there is more to do. */
  step(deadline) {
    if (!this.#flow) return this.#showAll();
    this.#pen.lift();
    if (!this.#owed) this.#advance(deadline);
    this.#plain.show(this.#source, this.#changed ? this.#flow.at : this.#source.length);
    this.#owed = !this.#owed && this.#flow.owes && performance.now() > deadline;
    const left = this.#owed || this.#flow.embellish(deadline);
    if (!this.#ended) this.#pen.setDown(this.#plain.element);
    return left || this.#changed;
  }

  /** Say if a time has come, once what was written is laid out. */
  isLate(deadline) {
    this.#element.getBoundingClientRect();
    return performance.now() > deadline;
  }

  #advance(deadline) {
    for (let steps = 0; this.#changed && steps < MOST_STEPS && performance.now() < deadline; steps += 1) {
      this.#changed = this.#flow.advance(this.#source, this.#ended, this.#plain.element);
    }
  }

  #begin({ library, Flow, Grammar }) {
    const grammar = new Grammar(library);
    this.#fresh = () => new Flow(this.#element, grammar, this.#wake);
    this.#element.classList.add('prose');
    this.#plain.enter(this.#element);
    this.#plain.show(this.#source, 0);
    this.#restart();
  }

  #restart() {
    this.#flow = this.#fresh?.() ?? null;
    this.#change(this.#ended);
  }

  #change(ended) {
    this.#ended = ended;
    this.#changed = true;
    this.#wake();
  }

  #showAll() {
    if (this.#element.textContent === this.#source) return false;
    this.#plain.alone(this.#element);
    this.#plain.all(this.#source);
    return false;
  }
}
