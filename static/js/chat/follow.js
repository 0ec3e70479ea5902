// Following the end of the page while it grows, without ever taking the reader's place away.

const AT_END_PX = 8;

/** Say if the page is still followed after a scroll: going up ends it, coming back to the end begins it again. */
export function stillFollowing(following, before, now) {
  if (now.top < before.top) return now.gap < 1;
  return following || now.gap < AT_END_PX;
}

export class Follow {
  noteLine; // comes when the page is usable
  #scroller;
  #text;
  #button;
  #begun = false; // until there is something to follow
  #following = false;
  #held = false; // a pointer is down: what it is on stays under it, or its click would be lost
  #place;
  #moved = null; // tells how far the line that is read has moved; the reader has not scrolled since

  /** `text` is what is read, `button` leads to its end. */
  constructor(scroller, text, button) {
    this.#scroller = scroller;
    this.#text = text;
    this.#button = button;
    this.#place = this.#measure();
    addEventListener('scroll', () => this.#scrolled(), { passive: true });
    addEventListener('pointerdown', () => (this.#held = true), { passive: true });
    for (const end of ['pointerup', 'pointercancel', 'contextmenu']) addEventListener(end, () => this.#release());
    button.addEventListener('click', () => this.toEnd());
  }

  /** Change the page: go on to its end if the reader was there before, else leave the line that is read where it stands. */
  keep(change) {
    if (!this.#following) this.#moved ??= this.noteLine?.(this.#text);
    change();
    const by = this.#moved?.();
    if (by) this.#scroller.scrollTop += by;
    if (by === null) this.#moved = null;
    this.settle();
  }

  /** Change the page in front of an element, which stays where it stands in the window. */
  before(element, change) {
    const { top } = element.getBoundingClientRect();
    change();
    this.#scroller.scrollTop += element.getBoundingClientRect().top - top;
    this.settle();
  }

  /** After something grew: stay at the end, or show the way there; an empty page is left alone. */
  settle() {
    if (!this.#begun || this.#held) return;
    if (this.#following) this.toEnd();
    else this.#offer(this.#measure().gap >= AT_END_PX);
  }

  /** Go to the end, and follow from now on. */
  toEnd() {
    this.#begun = true;
    this.#following = true;
    this.#moved = null;
    this.#offer(false);
    this.#scroller.scrollTop = this.#scroller.scrollHeight;
    this.#place = this.#measure();
  }

  #scrolled() {
    if (Math.abs(this.#moved?.() ?? 1) >= 1) this.#moved = null;
    if (!this.#begun) return;
    const now = this.#measure();
    this.#following = stillFollowing(this.#following, this.#place, now);
    this.#offer(!this.#following && now.gap >= AT_END_PX);
    this.#place = now;
  }

  #release() {
    this.#held = false;
    this.settle();
  }

  #offer(shown) {
    if (this.#button.hidden === shown) this.#button.hidden = !shown;
  }

  #measure() {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroller;
    return { top: scrollTop, gap: scrollHeight - scrollTop - clientHeight };
  }
}
