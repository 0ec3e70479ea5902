// Text that types itself: what arrives between two frames goes into the page together.

export class Writer {
  #apply;
  #waiting = new Map(); // element -> text that is not yet in the page
  #frame = 0;

  /** `apply` makes a change to the page (and keeps the reader's place meanwhile). */
  constructor(apply) {
    this.#apply = apply;
  }

  /** Append text to an element, with the next frame. */
  write(element, text) {
    if (!text) return;
    this.#waiting.set(element, (this.#waiting.get(element) ?? '') + text);
    this.#frame ||= requestAnimationFrame(() => this.flush());
  }

  /** Put everything that waits into the page now; frames stand still in a hidden tab. */
  flush() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    if (this.#waiting.size) this.#apply(() => this.#waiting.forEach(append));
    this.#waiting.clear();
  }

  /** Forget what waits and empty the elements. */
  reset(...elements) {
    this.#waiting.clear();
    elements.forEach((element) => element.replaceChildren());
  }
}

function append(text, element) {
  if (!element.firstChild) element.append('');
  element.firstChild.appendData(text);
}
