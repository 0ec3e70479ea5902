// What was just done, with a way back. It stays for a while, and for as long as somebody is at it.

const STAYS_MS = 20_000;

export class Toasts {
  #root;
  #template;

  constructor(root, template) {
    this.#root = root;
    this.#template = template;
  }

  /** Say what was done and offer to undo it; whoever used the keyboard finds the button under the hand. */
  offer(words, undo) {
    const toast = this.#template.content.firstElementChild.cloneNode(true);
    const button = toast.querySelector('[data-undo]');
    toast.querySelector('[data-words]').textContent = words;
    toast.setAttribute('aria-label', words);
    toast.querySelector('[data-dismiss]').addEventListener('click', () => toast.remove());
    button.addEventListener('click', () => {
      toast.remove();
      undo();
    });
    this.#root.append(toast);
    button.focus();
    stay(toast);
  }
}

/** Remove a toast after a while in which nobody pointed at it, nor had the focus in it, nor looked elsewhere. */
function stay(toast) {
  let left = STAYS_MS;
  const timer = setInterval(() => {
    if (toast.matches(':hover, :focus-within') || document.hidden) left = STAYS_MS;
    else left -= 1000;
    if (left <= 0) toast.remove();
    if (!toast.isConnected) clearInterval(timer);
  }, 1000);
}
