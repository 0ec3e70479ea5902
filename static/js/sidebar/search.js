// The search field: finds while one types, after a short rest.

import { isCancel } from '../chat/keys.js';

const REST_MS = 200;

export class SearchField {
  onSearch = () => {};
  #field;
  #timer;
  #asked = '';

  constructor(form) {
    this.#field = form.elements.q;
    form.addEventListener('submit', (event) => this.#submit(event));
    this.#field.addEventListener('input', () => this.#wait());
    this.#field.addEventListener('keydown', (event) => isCancel(event) && this.#clear(event));
    if (this.#field.value) this.#wait(); // somebody was faster than this script
  }

  focus() {
    this.#field.select();
    this.#field.focus();
  }

  #wait() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#search(), this.#field.value ? REST_MS : 0);
  }

  /** Search now, and once more for the same words: the last search may have failed. */
  #submit(event) {
    event.preventDefault();
    this.#asked = '';
    this.#search();
  }

  #search() {
    clearTimeout(this.#timer);
    const q = this.#field.value.trim();
    if (q !== this.#asked) this.onSearch((this.#asked = q));
  }

  /** The first Escape ends the search; it neither stops an answer nor closes the drawer. */
  #clear(event) {
    if (!this.#field.value) return;
    event.preventDefault();
    event.stopPropagation();
    this.#field.value = '';
    this.#search();
  }
}
