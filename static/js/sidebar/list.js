// The list in the page: groups of conversations, moved no more than needed, so that nobody's focus gets lost.

import { buttonOf, linkOf, readItem, writeItem } from './item.js';

export class List {
  onMenu = () => {}; // called with the id of a conversation and the button that was pressed
  onMore = () => {};
  #root;
  #t;
  #template;
  #items = new Map(); // id -> element
  #held = false; // something in the list is being changed by hand
  #waiting = null; // what is to be shown afterwards

  constructor(root, template, t) {
    this.#root = root;
    this.#t = t;
    this.#template = template;
    for (const each of root.querySelectorAll('[data-item]')) this.#items.set(each.dataset.item, each);
    root.addEventListener('click', (event) => this.#clicked(event));
  }

  /** Read what the server wrote into the page. */
  read() {
    return [...this.#items.values()].map(readItem);
  }

  /** Show groups of conversations; `here` is the id of the open one. */
  show(groups, state, here) {
    if (this.#held) return (this.#waiting = [groups, state, here]);
    const focused = document.activeElement;
    for (const section of this.#root.querySelectorAll('[data-group]')) {
      this.#fill(section, groups[section.dataset.group] ?? [], here);
    }
    this.#forget(new Set(Object.values(groups).flat().map(({ id }) => id)));
    this.#tell(state);
    if (focused !== document.activeElement && focused.isConnected) focused.focus({ preventScroll: true });
  }

  /** Keep the list as it is while `change` goes on. */
  async hold(change) {
    this.#held = true;
    await change().finally(() => (this.#held = false));
    if (this.#waiting) this.show(...this.#waiting);
    this.#waiting = null;
  }

  item(id) {
    return this.#items.get(id);
  }

  focus(id) {
    const item = this.#items.get(id);
    if (item) linkOf(item).focus();
  }

  #fill(section, conversations, here) {
    section.hidden = !conversations.length;
    const items = conversations.map((each) => this.#write(each, each.id === here));
    place(section.querySelector('ul'), items);
  }

  /** Say that nothing is there, or nothing is found, and if there is more. */
  #tell({ more, empty, none }) {
    this.#part('more').hidden = !more;
    this.#part('empty').hidden = !empty;
    this.#part('none').hidden = !none;
    this.#part('none').textContent = none && this.#t('list.say.none', { q: none });
  }

  #write(conversation, here) {
    const { id } = conversation;
    if (!this.#items.has(id)) this.#items.set(id, this.#template.content.firstElementChild.cloneNode(true));
    writeItem(this.#items.get(id), conversation, here, this.#t);
    return this.#items.get(id);
  }

  #forget(shown) {
    for (const id of this.#items.keys()) if (!shown.has(id)) this.#items.delete(id);
  }

  #clicked(event) {
    const item = event.target.closest('[data-item]');
    const onButton = item && buttonOf(item).contains(event.target);
    const onMore = this.#part('more').contains(event.target);
    if (onButton || onMore) event.preventDefault();
    if (onButton) this.onMenu(item.dataset.item, buttonOf(item));
    if (onMore) this.onMore();
  }

  #part(name) {
    return this.#root.querySelector(`[data-${name}]`);
  }
}

/** Make elements the children of a parent, in this order; what stands right is not touched. */
function place(parent, elements) {
  let next = parent.firstElementChild;
  for (const element of elements) {
    if (element === next) next = next.nextElementSibling;
    else parent.insertBefore(element, next);
  }
  while (next) {
    const extra = next;
    next = next.nextElementSibling;
    extra.remove();
  }
}
