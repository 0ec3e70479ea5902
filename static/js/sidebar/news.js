// What the channel tells, brought into the list and into the open conversation.

const ID = /^[0-9a-f-]{36}$/;

export class News {
  #library;
  #here;

  constructor(channel, library, here) {
    this.#library = library;
    this.#here = here;
    channel.onReset = () => this.#reload();
    channel.onChange = (change, conversation) => ID.test(conversation.id) && this.#hear(change, conversation);
    this.#reloadList(); // the server writes only the beginning of it into the page
    channel.follow();
  }

  #hear(change, conversation) {
    const open = conversation.id === this.#here.id;
    if (change === 'deleted') {
      this.#library.drop(conversation.id);
      if (open) this.#here.leave();
    } else {
      this.#library.put(conversation);
      if (open) this.#here.show(conversation);
      if (open && conversation.answer) this.#here.hear(conversation.answer);
    }
  }

  /** Something may have been missed: look at everything. */
  async #reload() {
    await this.#reloadList();
    if (this.#here.id) this.#here.catchUp();
  }

  /** If it cannot be loaded, the list stays as it is. */
  #reloadList() {
    return this.#library.reload().catch(() => {});
  }
}
