// Pure: how deep the headings of an answer stand in the page, below the page's own two levels and without gaps.

const ABOVE = 2;
const DEEPEST = 6;

export class Outline {
  #open;

  constructor(open = []) {
    this.#open = [...open];
  }

  /** Enter a heading of a depth from 1 to 6; gives the level that it has in the page. */
  level(depth) {
    while (this.#open.length && this.#open.at(-1) >= depth) this.#open.pop();
    this.#open.push(depth);
    return Math.min(ABOVE + this.#open.length, DEEPEST);
  }

  copy() {
    return new Outline(this.#open);
  }
}
