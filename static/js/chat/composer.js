// The composer: sends what stands in its field, and says how the answer fares.

import { Draft } from './draft.js';
import { isCancel, isSend } from './keys.js';
import { QuestionField } from './question_field.js';

export class Composer {
  onSend = () => {};
  onStop = () => {};
  onRestart = () => {};
  #form;
  #field;
  #draft;
  #attachments;
  #part;

  constructor(form, conversation, attachments, t) {
    this.#form = form;
    this.#attachments = attachments;
    this.#part = (name) => form.querySelector(`[data-${name}]`);
    this.#draft = new Draft(form.elements.prompt, draftKey(conversation));
    this.#field = new QuestionField(form.elements.prompt, this.#part('field-error'), Number(form.dataset.limit), t);
    new Draft(form.elements.model, 'talkabout.model');
    form.elements.model.dispatchEvent(new Event('input')); // it may be another one than the page came with
    this.#listen();
    this.#part('hint').hidden = false;
    if (matchMedia('(hover: hover)').matches) this.focus();
  }

  get model() {
    return this.#form.elements.model.value;
  }

  /** Give a model back if it can still be chosen. */
  offered(model) {
    return Array.from(this.#form.elements.model.options, ({ value }) => value).find((value) => value === model);
  }

  /** While an answer runs it can be stopped; what is sent then waits. */
  set busy(busy) {
    const stop = this.#part('stop');
    const held = stop === document.activeElement;
    stop.hidden = !busy;
    this.#form.dataset.busy = String(busy);
    if (held && !busy) this.focus(); // the button that was pressed has gone
  }

  /** Offer to ask the last question again, or not. */
  set restartable(restartable) {
    this.#part('restart').hidden = !restartable;
  }

  focus() {
    this.#field.focus();
  }

  /** The conversation has got its id. */
  moved(conversation) {
    this.#draft.move(draftKey(conversation));
    this.#attachments.moved(conversation);
  }

  /** Say the state to whoever listens to the page. */
  say(words) {
    if (words) this.#part('status').textContent = words;
  }

  /** Put a text into the field, to be sent or changed. */
  fill(text) {
    this.#field.fill(text);
  }

  /** Give a question back that was refused, with its files and the reason. */
  refuse({ prompt, files }, reason) {
    this.#attachments.give(files);
    this.#field.giveBack(prompt, reason);
  }

  #listen() {
    this.#attachments.onSay = (words) => this.say(words);
    this.#attachments.onMistake = (words) => this.#field.complain(words);
    this.#form.addEventListener('submit', (event) => this.#submit(event));
    this.#form.elements.prompt.addEventListener('keydown', (event) => isSend(event) && this.#submit(event));
    this.#part('stop').addEventListener('click', () => this.onStop());
    this.#part('restart').addEventListener('click', () => this.onRestart());
    addEventListener('keydown', (event) => isCancel(event) && !isElsewhere() && this.onStop());
  }

  #submit(event) {
    event.preventDefault();
    const prompt = this.#field.take(this.#attachments.mistake);
    if (prompt !== null) this.onSend({ prompt, files: this.#attachments.take() });
  }
}

/** Esc closes what is open before it stops an answer. */
function isElsewhere() {
  return Boolean(document.querySelector('dialog[open]'));
}

function draftKey(conversation) {
  return `talkabout.draft.${conversation}`;
}
