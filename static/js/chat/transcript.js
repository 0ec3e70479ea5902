// The exchanges of this visit, in the page.

import { Exchange } from './exchange.js';

export class Transcript {
  #root;
  #t;
  #follow;
  #exchanges = [];
  #template = document.querySelector('[data-exchange-template]');
  #welcome = document.querySelector('[data-welcome]');

  constructor(root, t, follow) {
    this.#root = root;
    this.#t = t;
    this.#follow = follow;
  }

  /** The newest exchange, if there is one. */
  get last() {
    return this.#exchanges.at(-1);
  }

  /** Add a question with its answer to come; `onRetry` is called with the exchange. */
  add(prompt, onRetry) {
    const root = this.#template.content.firstElementChild.cloneNode(true);
    const exchange = new Exchange(root, prompt, this.#t, this.#follow);
    root.querySelector('[data-retry]').addEventListener('click', () => onRetry(exchange));
    this.#welcome?.setAttribute('hidden', '');
    this.#exchanges.push(exchange);
    this.#root.append(root);
    this.#follow.toEnd();
    return exchange;
  }

  /** Take an exchange out again, whose question was refused. */
  remove(exchange) {
    this.#exchanges = this.#exchanges.filter((other) => other !== exchange);
    exchange.root.remove();
  }
}
