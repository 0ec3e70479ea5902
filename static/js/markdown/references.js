// Pure: the addresses that `[text][name]` may name, and who waits for one: models like to write them at the very end.

const MOST_WAITING = 500;

export class References {
  links = {};
  #waiting = [];

  /** Take a finished block; gives those that name an address which it brings. */
  learn(finished) {
    const { type, tag, href, title, raw } = finished.block;
    if (type === 'def') return this.#add(tag, { href, title });
    if (type !== 'code' && raw.includes('[') && this.#waiting.length < MOST_WAITING) this.#waiting.push(finished);
    return [];
  }

  #add(tag, link) {
    if (tag in this.links) return [];
    this.links[tag] = link;
    return this.#waiting.filter(({ block }) => block.raw.toLowerCase().includes(`[${tag}]`));
  }
}
