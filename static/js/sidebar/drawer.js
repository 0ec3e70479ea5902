// The sidebar on narrow screens, where it is a drawer that opens by itself without any script (popover).

const WIDE = '(min-width: 64rem)';

export class Drawer {
  #root;
  #wide = matchMedia(WIDE);

  constructor(root) {
    this.#root = root;
    this.#wide.addEventListener('change', () => this.close());
    document.addEventListener('keydown', keepEscape);
  }

  /** Make sure that it is seen. */
  open() {
    if (!this.#wide.matches && !this.#isOpen) this.#root.showPopover();
  }

  close() {
    if (this.#isOpen) this.#root.hidePopover();
  }

  get #isOpen() {
    return this.#root.matches(':popover-open');
  }
}

/** The Escape that closes a menu or the drawer stops no answer. */
function keepEscape(event) {
  if (event.key === 'Escape' && document.querySelector(':popover-open')) event.stopPropagation();
}
