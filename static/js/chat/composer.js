// The composer: sends what stands in its field, and says how the answer fares.

import { keepDraft } from './draft.js';
import { isSend } from './keys.js';
import { QuestionField } from './question_field.js';

export class Composer {
  onSend = () => {};
  onStop = () => {};
  onRestart = () => {};
  #form;
  #field;
  #part;
  #busy = false;

  constructor(form, t) {
    this.#form = form;
    this.#part = (name) => form.querySelector(`[data-${name}]`);
    this.#field = new QuestionField(form.elements.prompt, this.#part('field-error'), Number(form.dataset.limit), t);
    keepDraft(form.elements.model, 'talkabout.model');
    this.#listen();
    this.#part('hint').hidden = false;
    if (matchMedia('(hover: hover)').matches) this.#field.focus();
  }

  get model() {
    return this.#form.elements.model.value;
  }

  /** While an answer runs, Stop stands in the place of Send. */
  set busy(busy) {
    const held = this.#form.contains(document.activeElement);
    this.#busy = busy;
    this.#part('send').hidden = busy;
    this.#part('stop').hidden = !busy;
    if (held) this.#field.focus(); // the button that was pressed may have gone
  }

  /** Offer to ask the last question again, or not. */
  set restartable(restartable) {
    this.#part('restart').hidden = !restartable;
  }

  /** Say the state to whoever listens to the page. */
  say(words) {
    if (words) this.#part('status').textContent = words;
  }

  /** Put a text into the field, to be sent or changed. */
  fill(text) {
    this.#field.fill(text);
  }

  /** Give a question back that was refused, with the reason. */
  refuse(text, reason) {
    this.#field.giveBack(text, reason);
  }

  #listen() {
    this.#form.addEventListener('submit', (event) => this.#submit(event));
    this.#form.elements.prompt.addEventListener('keydown', (event) => isSend(event) && this.#submit(event));
    this.#part('stop').addEventListener('click', () => this.onStop());
    this.#part('restart').addEventListener('click', () => this.onRestart());
    addEventListener('keydown', (event) => event.key === 'Escape' && !event.isComposing && this.onStop());
  }

  #submit(event) {
    event.preventDefault();
    const prompt = this.#busy ? null : this.#field.take();
    if (prompt) this.onSend(prompt);
  }
}
