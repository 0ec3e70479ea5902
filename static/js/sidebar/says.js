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
    this.#problem.textContent = refusal && this.#t(reason(refusal), refusal);
  }
}

function reason({ status }) {
  if (status === 409) return 'share.say.nothing'; // the only conflict there is
  return status ? 'list.say.refused' : 'list.say.unreachable';
}
