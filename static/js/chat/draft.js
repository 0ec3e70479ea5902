// What was typed and chosen outlives a reload of this tab.

import { keep, kept } from './kept.js';

/** A field's value, kept under a key that may change: a conversation gets its id while its first question is asked. */
export class Draft {
  #field;
  #key;

  constructor(field, key) {
    this.#field = field;
    this.#key = key;
    const before = kept(key);
    if (before) choose(field, before);
    field.addEventListener('input', () => keep(this.#key, field.value));
  }

  /** Go on under another key. */
  move(key) {
    if (key === this.#key) return;
    keep(this.#key, '');
    this.#key = key;
    keep(key, this.#field.value);
  }
}

/** Set a value; a choice that is no longer offered is left alone. */
function choose(field, value) {
  const before = field.value;
  field.value = value;
  if (field.value !== value) field.value = before;
}
