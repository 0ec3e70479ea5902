// A field for a question: grows with it, says what is wrong with it.

import { mistake } from './keys.js';

const GROWS_BY_ITSELF = CSS.supports('field-sizing', 'content');

export class QuestionField {
  #field;
  #error;
  #limit;
  #t;

  constructor(field, error, limit, t) {
    this.#field = field;
    this.#error = error;
    this.#limit = limit;
    this.#t = t;
    field.addEventListener('input', () => this.#changed());
    this.#grow();
  }

  focus() {
    this.#field.focus({ preventScroll: true });
  }

  /** Give the question to send it; null, with the reason at the field, if it cannot be sent, for `another` reason too. */
  read(another = '') {
    const prompt = this.#field.value;
    const wrong = mistake(prompt, this.#limit, this.#t) || another;
    this.#mark(wrong);
    return wrong ? null : prompt;
  }

  /** Give the question as `read` does, and empty the field. */
  take(another) {
    const prompt = this.read(another);
    if (prompt !== null) this.#set('');
    return prompt;
  }

  /** Put a text in, to be sent or changed. */
  fill(text) {
    this.#set(text);
    this.focus();
  }

  /** Put a refused question back, unless another was begun, with the reason. */
  giveBack(text, reason) {
    if (!this.#field.value) this.fill(text);
    this.#mark(reason);
  }

  /** Say at the field what is wrong, until something is changed. */
  complain(words) {
    this.#mark(words);
  }

  #set(text) {
    this.#field.value = text;
    this.#field.dispatchEvent(new Event('input'));
  }

  #changed() {
    this.#mark('');
    this.#grow();
  }

  #grow() {
    if (GROWS_BY_ITSELF) return;
    this.#field.style.height = 'auto';
    this.#field.style.height = `${this.#field.scrollHeight}px`;
  }

  #mark(wrong) {
    this.#error.textContent = wrong;
    this.#field.setAttribute('aria-invalid', String(Boolean(wrong)));
  }
}
