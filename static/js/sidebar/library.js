// What the list shows, and how it is kept in step with the server.

import { insist } from '../answers/insist.js';
import * as api from '../conversations.js';
import { Found, Shelf } from './shelf.js';

export class Library {
  onShow = () => {};
  #shelf;
  #found = null; // what a search has found, as long as there is one
  #query = '';
  #search = new AbortController();
  #loading = null;
  #stale = false; // something changed while the list was loaded

  constructor(conversations) {
    this.#shelf = new Shelf(conversations);
  }

  get #shown() {
    return this.#found ?? this.#shelf;
  }

  get(id) {
    return this.#shown.get(id) ?? this.#shelf.get(id);
  }

  show() {
    const { before, size } = this.#shown;
    const nothing = { empty: !this.#found && !size, none: this.#found && !size ? this.#query : '' };
    this.onShow(this.#shown.groups(), { more: Boolean(before), ...nothing });
  }

  /** Load the list anew, all that may have changed meanwhile. */
  reload() {
    this.#stale = true;
    return (this.#loading ??= this.#load().finally(() => (this.#loading = null)));
  }

  async more() {
    await this.#loading;
    const shown = this.#shown;
    shown.add(await api.list({ q: this.#query, before: shown.before }));
    this.show();
  }

  /** Show what is found instead of the list, or the list again; gives how many were found, and if there are more. */
  async search(q) {
    this.#search.abort();
    this.#search = new AbortController();
    this.#query = q;
    const found = q ? new Found() : null;
    found?.add(await api.list({ q }, this.#search.signal));
    this.#found = found;
    this.show();
    return { count: found?.size ?? 0, more: Boolean(found?.before) };
  }

  put(conversation) {
    this.#each((shelf) => shelf.put(conversation));
  }

  drop(id) {
    this.#each((shelf) => shelf.drop(id));
  }

  #each(change) {
    this.#stale = true;
    [this.#shelf, this.#found].forEach((shelf) => shelf && change(shelf));
    this.show();
  }

  async #load() {
    while (this.#stale) {
      this.#stale = false;
      const [pinned, page] = await Promise.all([
        insist((line) => api.list({ pinned: 'true', limit: 100 }, line.signal)),
        insist((line) => api.list({}, line.signal)),
      ]);
      this.#shelf = new Shelf(pinned.conversations);
      this.#shelf.add(page);
    }
    this.show();
  }
}
