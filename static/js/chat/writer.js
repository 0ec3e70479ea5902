// Text that types itself: what arrives between two frames goes into the page together.

export class Writer {
  #apply;
  #waiting = new Map(); // element -> text that is not yet in the page
  #emptied = new Set(); // elements whose text goes before that
  #frame = 0;

  /** `apply` makes a change to the page (and keeps the reader's place meanwhile). */
  constructor(apply) {
    this.#apply = apply;
  }

  /** Append text to an element, with the next frame. */
  write(element, text) {
    if (text) this.#wait(element, (this.#waiting.get(element) ?? '') + text);
  }

  /** Empty an element, with the next frame, together with what is appended until then. */
  empty(element) {
    this.#emptied.add(element);
    this.#wait(element, '');
  }

  /** Put everything that waits into the page now; frames stand still in a hidden tab. */
  flush() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    if (this.#waiting.size) this.#apply(() => this.#write());
  }

  #wait(element, text) {
    this.#waiting.set(element, text);
    this.#frame ||= requestAnimationFrame(() => this.flush());
  }

  #write() {
    this.#emptied.forEach((element) => element.replaceChildren());
    this.#waiting.forEach(append);
    this.#emptied.clear();
    this.#waiting.clear();
  }
}

function append(text, element) {
  if (!element.firstChild) element.append('');
  element.firstChild.appendData(text);
}
