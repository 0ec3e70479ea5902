// The live list of raw events: the last 500, written once per frame.

import { keepingEnd, oncePerFrame } from './follow.js';

const KEPT = 500;

/** A table body that rows are added to; the row's markup is the page's template. */
export class EventList {
  #box;
  #body;
  #template;
  #waiting = [];
  #count = 0;
  #began = 0;
  #render = oncePerFrame(() => keepingEnd(this.#box, () => this.#write()));

  constructor(box, template) {
    this.#box = box;
    this.#body = box.querySelector('tbody');
    this.#template = template;
  }

  /** Forget all rows and count time from now. */
  begin() {
    this.#waiting = [];
    this.#count = 0;
    this.#began = performance.now();
    this.#body.replaceChildren();
  }

  /** Add a row: what came, its data, its id; `kind` is `event`, or `wire` for what is no event. */
  add(kind, event, data, id = '') {
    const ms = Math.round(performance.now() - this.#began);
    this.#waiting.push({ kind, cells: { number: ++this.#count, ms, event, id, data } });
    if (this.#waiting.length > KEPT) this.#waiting.shift();
    this.#render();
  }

  #write() {
    this.#body.append(...this.#waiting.splice(0).map((row) => this.#row(row)));
    const tooMany = Math.max(0, this.#body.rows.length - KEPT);
    for (const row of [...this.#body.rows].slice(0, tooMany)) row.remove();
  }

  #row({ kind, cells }) {
    const row = this.#template.content.cloneNode(true).firstElementChild;
    row.dataset.kind = kind;
    for (const [name, value] of Object.entries(cells)) row.querySelector(`[data-cell=${name}]`).textContent = value;
    row.querySelector('[data-cell=id]').title = cells.id; // where it is too long to be shown whole
    return row;
  }
}
