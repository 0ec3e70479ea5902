// The search field: finds while one types, after a short rest.

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
    this.#field.addEventListener('keydown', (event) => event.key === 'Escape' && this.#clear(event));
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

  #submit(event) {
    event.preventDefault();
    this.#search();
  }

  #search() {
    clearTimeout(this.#timer);
    const q = this.#field.value.trim();
    if (q !== this.#asked) this.onSearch((this.#asked = q));
  }

  /** The first Escape ends the search; it neither stops an answer nor closes the drawer. */
  #clear(event) {
    if (!this.#field.value || event.isComposing) return;
    event.preventDefault();
    event.stopPropagation();
    this.#field.value = '';
    this.#search();
  }
}
