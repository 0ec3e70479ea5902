// The blocks of a text lie on sheets. A full one costs nothing while it is out of sight (prose.css), so what a frame costs does
// not grow with the text.

const SHEET_CHARS = 4000;

export class Sheets {
  ahead = 0; // so much of the text is yet to be set
  #element;
  #last = null;
  #begins = 0;

  constructor(element) {
    this.#element = element;
  }

  /** Give the sheet for a block that begins here in the text: the last one, or a new one in front of the node `end`. */
  for(at, end) {
    if (!this.#last || at - this.#begins >= SHEET_CHARS) this.#turn(at, end);
    return this.#last;
  }

  #turn(at, end) {
    this.#last?.classList.add('prose__sheet--full');
    this.#last = document.createElement('div');
    this.#last.className = 'prose__sheet';
    if (this.ahead > SHEET_CHARS && !isSeen(end)) this.#last.classList.add('prose__sheet--full'); // it soon will be
    this.#element.insertBefore(this.#last, end);
    this.#begins = at;
  }
}

function isSeen(element) {
  const { top, bottom } = element.getBoundingClientRect();
  return bottom > 0 && top < innerHeight;
}
