// The menu of a conversation: one for all, shown at the button that was pressed. A menu as the ARIA practices have it.

import { exportPath } from '../conversations.js';

const MARGIN_PX = 8;
const STEPS = { ArrowDown: 1, ArrowUp: -1 };

export class Menu {
  onChoose = () => {}; // called with an action and the conversation
  #root;
  #button = null;
  #conversation = null;

  constructor(root) {
    this.#root = root;
    root.addEventListener('click', (event) => this.#chosen(event.target.closest('[role="menuitem"]')));
    root.addEventListener('keydown', (event) => this.#pressed(event));
    root.addEventListener('beforetoggle', ({ newState }) => newState === 'closed' && this.#closed());
  }

  /** Open the menu of a conversation at a button, or close it if it is open there. */
  toggle(conversation, button) {
    if (this.#button === button) return this.#root.hidePopover();
    this.#conversation = conversation;
    this.#button = button;
    this.#offer(conversation);
    button.popoverTargetElement = this.#root; // else a press on it would close the menu, and the click open it again
    button.after(this.#root); // where Tab expects it, and part of the drawer that it opens from
    this.#root.showPopover();
    this.#put(button.getBoundingClientRect());
    button.setAttribute('aria-expanded', 'true');
    this.#items[0].focus();
  }

  get #items() {
    return [...this.#root.querySelectorAll('[role="menuitem"]:not([hidden])')];
  }

  #offer({ id, pinned }) {
    this.#root.querySelector('[data-action="pin"]').hidden = pinned;
    this.#root.querySelector('[data-action="unpin"]').hidden = !pinned;
    for (const link of this.#root.querySelectorAll('[data-export]')) link.href = exportPath(id, link.dataset.export);
  }

  /** Below the button, or above it where there is more room. */
  #put({ top, bottom, right }) {
    const { offsetWidth: width, offsetHeight: height, style } = this.#root;
    const below = bottom + height + MARGIN_PX <= innerHeight ? bottom : Math.max(MARGIN_PX, top - height);
    style.top = `${below}px`;
    style.left = `${Math.max(MARGIN_PX, Math.min(right - width, innerWidth - width - MARGIN_PX))}px`;
  }

  #chosen(item) {
    if (!item) return;
    this.#root.hidePopover();
    if (item.dataset.action) this.onChoose(item.dataset.action, this.#conversation);
  }

  #pressed(event) {
    const items = this.#items;
    const now = items.indexOf(document.activeElement);
    if (event.key === 'Tab') return this.#root.hidePopover();
    if (event.key === ' ') return pressed(event); // a link knows only Enter
    const next = { Home: 0, End: items.length - 1 }[event.key] ?? now + STEPS[event.key];
    if (Number.isNaN(next)) return;
    event.preventDefault();
    items.at(next % items.length).focus();
  }

  #closed() {
    this.#button?.setAttribute('aria-expanded', 'false');
    this.#button = null;
  }
}

function pressed(event) {
  event.preventDefault();
  event.target.click();
}
