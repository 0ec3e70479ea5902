// The exchanges of a conversation, in the page.

import { Exchange } from './exchange.js';

export class Transcript {
  onRetry = () => {};
  onContinue = () => {};
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
    this.conversation = root.dataset.conversation;
    for (const each of root.querySelectorAll('[data-exchange][data-answer-id]')) this.#take(each);
    if (this.last) follow.toEnd();
  }

  /** The newest exchange, if there is one. */
  get last() {
    return this.#exchanges.at(-1);
  }

  /** Add a question with its answer to come. */
  add(prompt) {
    const root = this.#template.content.firstElementChild.cloneNode(true);
    root.querySelector('[data-question]').textContent = prompt;
    this.#welcome?.setAttribute('hidden', '');
    this.#root.append(root);
    const exchange = this.#take(root);
    this.#follow.toEnd();
    return exchange;
  }

  /** Say what is asked, and where: behind the answer before it, or at the root of the conversation. */
  place(exchange) {
    const before = this.#exchanges.slice(0, this.#exchanges.indexOf(exchange)).findLast((each) => each.there);
    if (!this.conversation) return { prompt: exchange.prompt };
    return { prompt: exchange.prompt, conversation: this.conversation, parent: before?.answer.id ?? '' };
  }

  /** Take an exchange out again, whose question was refused. */
  remove(exchange) {
    this.#exchanges = this.#exchanges.filter((other) => other !== exchange);
    exchange.root.remove();
  }

  #take(root) {
    const exchange = new Exchange(root, this.#t, this.#follow);
    root.querySelector('[data-retry]').addEventListener('click', () => this.onRetry(exchange));
    root.querySelector('[data-continue]').addEventListener('click', () => this.onContinue(exchange));
    this.#exchanges.push(exchange);
    return exchange;
  }
}
