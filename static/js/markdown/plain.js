// What of a text is not set yet stands there as it is: what comes next in an element of its own, and behind that the pieces that
// the server has cut a long text into (web/slices.py), each until it is next.

const MOST_CHARS = 8000; // as much as the server leaves uncut; more would be laid out with each frame

export class Plain {
  element = document.createElement('span');
  #pieces = []; // { piece, from }: where each begins in the text

  constructor() {
    this.element.className = 'prose__plain';
  }

  /** Stand in an element, alone or in front of the pieces that are there. */
  enter(root) {
    let from = 0;
    this.#pieces = Array.from(root.querySelectorAll(':scope > .slice'), (piece) => {
      from += piece.textContent.length;
      return { piece, from: from - piece.textContent.length };
    });
    if (this.#pieces.length) root.prepend(this.element);
    else this.alone(root);
  }

  alone(root) {
    this.#pieces = [];
    root.replaceChildren(this.element);
  }

  /** Show what there is of a text from a place on. */
  show(text, from) {
    while (this.#pieces[0]?.from <= from) this.#pieces.shift().piece.remove();
    const to = Math.min(from + MOST_CHARS, this.#pieces[0]?.from ?? text.length);
    this.all(text.slice(from, to));
  }

  all(text) {
    if (this.element.textContent !== text) this.element.textContent = text;
  }
}
