// What can be done with a conversation of the list. What happens is said; what fails changes nothing and says why.

import * as api from '../conversations.js';
import { askForTitle } from './rename.js';

export class Actions {
  #library;
  #list;
  #says;
  #parts;

  /** `says` tells: `done` politely, `wrong` at once, `undo` with a way back. */
  constructor(library, list, says, parts) {
    this.#library = library;
    this.#list = list;
    this.#says = says;
    this.#parts = parts;
  }

  /** Do what was chosen from the menu. */
  do(action, conversation) {
    return this[action](conversation);
  }

  async rename({ id, title: before }) {
    const item = this.#list.item(id);
    if (!item) return; // it has been deleted elsewhere while the menu was open
    let title = before;
    await this.#list.hold(async () => {
      title = await askForTitle(item, before, this.#parts.renameTemplate);
    });
    if (title !== before) await this.#change(id, { title }, 'list.say.renamed');
  }

  pin({ id }) {
    return this.#change(id, { pinned: true }, 'list.say.pinned');
  }

  unpin({ id }) {
    return this.#change(id, { pinned: false }, 'list.say.unpinned');
  }

  async share(conversation) {
    const { id } = conversation;
    const path = conversation.shared ?? (await this.#try(() => api.share(id, this.#parts.leafOf(id))))?.path;
    if (!path) return;
    this.#library.put({ ...conversation, shared: path });
    this.#parts.share.onRevoke = () => this.#revoke({ ...conversation, shared: null });
    await this.#parts.share.show(path);
  }

  async delete({ id, title }) {
    if ((await this.#try(() => api.remove(id))) === undefined) return;
    this.#library.drop(id);
    this.#says.undo('list.say.deleted', { title }, () => this.restore(id));
  }

  async restore(id) {
    const conversation = await this.#try(() => api.restore(id));
    if (!conversation) return;
    this.#library.put(conversation);
    if (document.activeElement === document.body) this.#list.focus(id); // the button that was pressed has gone
    this.#says.done('list.say.restored', conversation);
  }

  async #revoke(conversation) {
    if ((await this.#try(() => api.revoke(conversation.id))) === undefined) return false;
    this.#library.put(conversation);
    this.#says.done('share.say.revoked');
    return true;
  }

  async #change(id, values, words) {
    const conversation = await this.#try(() => api.change(id, values));
    if (!conversation) return;
    this.#library.put(conversation);
    this.#says.done(words, conversation);
  }

  /** Give what a request gives; undefined, with the reason said, if it fails. */
  #try(request) {
    this.#says.wrong('');
    return request().catch((refusal) => this.#says.wrong(refusal));
  }
}
