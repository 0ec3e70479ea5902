// Questions that wait until the answer before them has ended well: seen, changed, removed, kept over a reload.

import { newId } from '../answers/id.js';
import { showFiles } from '../files/shown.js';
import { keep, keptValue } from './kept.js';

export class Queue {
  onGo = () => {}; // send the first one now
  #root;
  #edit;
  #t;
  #key;
  #waiting; // [{answer, prompt, files}]: under the same id a question is asked once, from however many tabs
  #behind; // the answer that they follow, '' while it has no id
  #part;

  constructor(root, conversation, edit, t) {
    this.#root = root;
    this.#edit = edit;
    this.#t = t;
    this.#key = keyOf(conversation);
    ({ waiting: this.#waiting, behind: this.#behind } = keptValue(this.#key, { waiting: [], behind: '' }));
    this.#part = (name) => root.querySelector(`[data-${name}]`);
    this.#part('go').addEventListener('click', () => this.onGo());
    this.#waiting.forEach((each) => this.#show(each));
    this.#changed();
  }

  /** Have a question wait; gives the words for it. */
  add({ prompt, files }) {
    const each = { answer: newId(), prompt, files };
    this.#waiting.push(each);
    this.#show(each);
    this.#changed();
    return this.#part('count').textContent;
  }

  /** They follow this answer now, in a conversation that may only just have got its id. */
  follow(conversation, answer) {
    keep(this.#key, '');
    this.#key = keyOf(conversation);
    this.#behind = answer;
    this.#changed();
  }

  /** They follow an answer that runs already, unless they were written for another branch than the one that is shown. */
  join(conversation, answer, isShown) {
    if (!this.#waiting.length || isShown(this.#behind)) this.follow(conversation, answer);
  }

  /** Say if they were written for what follows an answer, or for another branch. */
  belongsBehind(answer) {
    return !this.#behind || this.#behind === answer;
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

  #show(each) {
    const row = this.#part('queued-template').content.firstElementChild.cloneNode(true);
    const text = row.querySelector('[data-queued]');
    text.textContent = each.prompt;
    showFiles(row.querySelector('[data-files]'), each.files ?? [], this.#t);
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
    const kept = { waiting: this.#waiting, behind: this.#behind };
    keep(this.#key, this.#waiting.length ? JSON.stringify(kept) : '');
    this.#root.hidden = !this.#waiting.length;
    this.#part('count').textContent = this.#t('queue.count', { count: this.#waiting.length });
    if (!this.#waiting.length) this.hold('');
  }
}

function keyOf(conversation) {
  return `talkabout.queue.${conversation}`;
}
