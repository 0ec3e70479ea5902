// Following the end of the page while it grows, without ever taking the reader's place away.

const AT_END_PX = 8;

/** Say if the page is still followed after a scroll: going up ends it, coming back to the end begins it again. */
export function stillFollowing(following, before, now) {
  if (now.top < before.top) return now.gap < 1;
  return following || now.gap < AT_END_PX;
}

export class Follow {
  #scroller;
  #button;
  #begun = false; // until there is something to follow
  #following = false;
  #place;

  constructor(scroller, button) {
    this.#scroller = scroller;
    this.#button = button;
    this.#place = this.#measure();
    addEventListener('scroll', () => this.#scrolled(), { passive: true });
    button.addEventListener('click', () => this.toEnd());
  }

  /** Change the page, and go on to its end only if the reader was there before. */
  keep(change) {
    change();
    this.settle();
  }

  /** After something grew: stay at the end, or show the way there; an empty page is left alone. */
  settle() {
    if (!this.#begun) return;
    if (this.#following) this.toEnd();
    else this.#button.hidden = this.#measure().gap < AT_END_PX;
  }

  /** Go to the end, and follow from now on. */
  toEnd() {
    this.#begun = true;
    this.#following = true;
    this.#button.hidden = true;
    this.#scroller.scrollTop = this.#scroller.scrollHeight;
    this.#place = this.#measure();
  }

  #scrolled() {
    if (!this.#begun) return;
    const now = this.#measure();
    this.#following = stillFollowing(this.#following, this.#place, now);
    this.#button.hidden = this.#following || now.gap < AT_END_PX;
    this.#place = now;
  }

  #measure() {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroller;
    return { top: scrollTop, gap: scrollHeight - scrollTop - clientHeight };
  }
}
