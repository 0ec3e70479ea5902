// Pure: the conversations that are listed, as far back as they were asked for.

import { ageOf } from './ages.js';

export class Shelf {
  before = null; // where the next page begins; null if there is none
  #all = new Map();
  #last = ''; // when the last one of the pages changed

  constructor(conversations = []) {
    for (const each of conversations) this.#all.set(each.id, each);
  }

  get size() {
    return this.#all.size;
  }

  get(id) {
    return this.#all.get(id);
  }

  /** Add the next page of the list. */
  add({ conversations, before }) {
    for (const each of conversations) this.#all.set(each.id, each);
    this.before = before;
    this.#last = conversations.at(-1)?.changed ?? '';
  }

  /** Add or change one; what belongs to a page that was not asked for yet is left to that page. */
  put(conversation) {
    if (conversation.pinned || !this.before || conversation.changed >= this.#last) {
      this.#all.set(conversation.id, conversation);
    } else {
      this.drop(conversation.id);
    }
  }

  drop(id) {
    this.#all.delete(id);
  }

  /** Sort them into the groups of the list, the last changed first. */
  groups(now = new Date()) {
    const groups = { found: [], pinned: [], today: [], yesterday: [], week: [], earlier: [] };
    const sorted = [...this.#all.values()].sort((a, b) => (a.changed < b.changed ? 1 : -1));
    for (const each of sorted) groups[each.pinned ? 'pinned' : ageOf(each.changed, now)].push(each);
    return groups;
  }
}

/** What was found, in the order of the search: changes are seen in it, but nothing comes by itself. */
export class Found extends Shelf {
  #ids = new Set(); // a page that was asked for twice is there once

  add(page) {
    super.add(page);
    page.conversations.forEach(({ id }) => this.#ids.add(id));
  }

  put(conversation) {
    if (this.get(conversation.id)) super.put(conversation);
  }

  groups() {
    return { found: [...this.#ids].map((id) => this.get(id)).filter(Boolean) };
  }
}
