// The input half of a client's panel: which endpoint, with which fields, and the same request as a line for curl.

import { asCurl } from './curl.js';
import { buildRequest } from './request.js';

/** A form whose chosen option says what the endpoint is and which fields it takes. */
export class RequestForm {
  #form;
  #curl;

  constructor(form, curl) {
    this.#form = form;
    this.#curl = curl;
    form.addEventListener('input', () => this.#show());
    this.#show();
  }

  /** Give the chosen endpoint as plain data. */
  endpoint() {
    const { method, path, fields, accept, last, raw } = this.#form.elements.endpoint.selectedOptions[0].dataset;
    return { method, path, fields: fields.split(' '), accept, last, raw: raw === 'yes', listen: this.#value('listen') };
  }

  /** Give the request, with the token if there is one. */
  request() {
    const request = this.#bare();
    return { ...request, headers: { ...request.headers, ...this.authorization() } };
  }

  /** Give the header that carries the token; it is read from the field each time and kept nowhere. */
  authorization() {
    const token = this.#value('token');
    return token ? { Authorization: `Bearer ${token}` } : {};
  }

  #bare() {
    const endpoint = this.endpoint();
    return buildRequest(endpoint, Object.fromEntries(endpoint.fields.map((name) => [name, this.#value(name)])));
  }

  #value(name) {
    return this.#form.elements[name]?.value ?? '';
  }

  #show() {
    const { fields } = this.endpoint();
    for (const field of this.#form.querySelectorAll('[data-field]')) field.hidden = !fields.includes(field.dataset.field);
    this.#curl.textContent = asCurl(this.#bare(), location.origin, this.#value('token') !== '');
  }
}
