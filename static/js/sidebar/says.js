// What the sidebar says: politely what was done, at once what went wrong.

export class Says {
  #said;
  #problem;
  #toasts;
  #t;

  constructor(said, problem, toasts, t) {
    this.#said = said;
    this.#problem = problem;
    this.#toasts = toasts;
    this.#t = t;
  }

  done(key, values) {
    this.#said.textContent = this.#t(key, values);
  }

  /** Say how many conversations a search has found. */
  found(q, { count, more }) {
    this.done(count ? 'list.say.found' : 'list.say.none', { q, count: more ? `${count}+` : count });
  }

  undo(key, values, undo) {
    this.#toasts.offer(this.#t(key, values), undo);
  }

  /** Say why a request failed; an empty reason takes back what was said. */
  wrong(refusal) {
    const words = refusal && this.#t(refusal.status ? 'list.say.refused' : 'list.say.unreachable', refusal);
    this.#problem.textContent = words;
  }
}
