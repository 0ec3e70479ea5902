// The place where the next word will stand: the last element that holds words gets `data-pen`, and a style sheet may show it.

const HOLDERS = 'p, li, h3, h4, h5, h6';

export class Pen {
  #at = null;

  /** Lift it, before the elements are compared with fresh ones. */
  lift() {
    this.#at?.removeAttribute('data-pen');
  }

  /** Set it down behind the last words in front of an element; on that element, if there are none. */
  setDown(end) {
    let last = end.previousElementSibling;
    while (last && !last.matches('p, h3, h4, h5, h6') && last.lastElementChild?.matches(`${HOLDERS}, ul, ol, blockquote`)) {
      last = last.lastElementChild;
    }
    this.#at = last?.matches(HOLDERS) ? last : end;
    this.#at.setAttribute('data-pen', '');
  }
}
