// Questions that wait until the answer before them has ended well: seen, changed, removed, kept over a reload.

import { newId } from '../answers/id.js';
import { keep, keptValue } from './kept.js';

export class Queue {
  onGo = () => {}; // send the first one now
  #root;
  #edit;
  #t;
  #key;
  #waiting; // [{answer, prompt}]: under the same id a question is asked once, from however many tabs
  #part;

  constructor(root, conversation, edit, t) {
    this.#root = root;
    this.#edit = edit;
    this.#t = t;
    this.#key = keyOf(conversation);
    this.#waiting = keptValue(this.#key, []);
    this.#part = (name) => root.querySelector(`[data-${name}]`);
    this.#part('go').addEventListener('click', () => this.onGo());
    this.#waiting.forEach((each) => this.#show(each));
    this.#changed();
  }

  add(prompt) {
    const each = { answer: newId(), prompt };
    this.#waiting.push(each);
    this.#show(each);
    this.#changed();
  }

  /** Take the first one out; undefined, if none waits. */
  take() {
    const first = this.#waiting[0];
    if (first) this.#remove(first);
    return first;
  }

  /** Say why they are held back; empty: they are not. */
  hold(why) {
    this.#part('held-words').textContent = why;
    this.#part('held').hidden = !why;
  }

  /** The conversation has got its id. */
  moved(conversation) {
    keep(this.#key, '');
    this.#key = keyOf(conversation);
    this.#changed();
  }

  #show(each) {
    const row = this.#part('queued-template').content.firstElementChild.cloneNode(true);
    const text = row.querySelector('[data-queued]');
    text.textContent = each.prompt;
    row.dataset.id = each.answer;
    row.querySelector('[data-remove]').addEventListener('click', () => this.#removed(each));
    row.querySelector('[data-change]').addEventListener('click', async ({ target }) => {
      if (text.hidden) return;
      this.#change(each, text, await this.#edit(text, each.prompt));
      target.focus();
    });
    this.#part('waiting').append(row);
  }

  #change(each, text, prompt) {
    if (prompt === null || !this.#waiting.includes(each)) return;
    text.textContent = each.prompt = prompt;
    this.#changed();
  }

  /** The focus goes to the next one, or where questions are written. */
  #removed(each) {
    this.#remove(each);
    const next = this.#part('remove') ?? document.querySelector('[data-composer] textarea');
    next.focus({ preventScroll: true });
  }

  #remove(each) {
    this.#waiting = this.#waiting.filter((other) => other !== each);
    this.#root.querySelector(`[data-id="${each.answer}"]`).remove();
    this.#changed();
  }

  #changed() {
    keep(this.#key, this.#waiting.length ? JSON.stringify(this.#waiting) : '');
    this.#root.hidden = !this.#waiting.length;
    this.#part('count').textContent = this.#t('queue.count', { count: this.#waiting.length });
    if (!this.#waiting.length) this.hold('');
  }
}

function keyOf(conversation) {
  return `talkabout.queue.${conversation}`;
}
