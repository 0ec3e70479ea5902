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
    this.#said.textContent = this.#words(key, values);
  }

  /** Say how many conversations a search has found. */
  found(q, { count, more }) {
    this.done(count ? 'list.say.found' : 'list.say.none', { q, count: more ? `${count}+` : count });
  }

  undo(key, values, undo) {
    this.#toasts.offer(this.#words(key, values), undo);
  }

  /** Say why a request failed; an empty reason takes back what was said. */
  wrong(refusal) {
    this.#problem.textContent = refusal && this.#t(reason(refusal), refusal);
  }

  #words(key, values) {
    return this.#t(key, { ...values, title: values?.title || this.#t('list.say.untitled') });
  }
}

const REASONS = { 401: 'live.sign_in', 404: 'list.say.lost', 409: 'share.say.nothing' }; // the only conflict there is

function reason({ status }) {
  return REASONS[status] ?? (status ? 'list.say.refused' : 'list.say.unreachable');
}
