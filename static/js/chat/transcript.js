// The exchanges of a conversation, in the page.

import { Exchange } from './exchange.js';
import { Tools } from './tools.js';

export class Transcript {
  onRetry = () => {};
  onContinue = () => {};
  onEdit = () => {};
  onAgain = () => {};
  onSay = () => {};
  #root;
  #t;
  #follow;
  #edit;
  #exchanges = [];
  #template = document.querySelector('[data-exchange-template]');
  #welcome = document.querySelector('[data-welcome]');

  constructor(root, t, follow, edit) {
    this.#root = root;
    this.#t = t;
    this.#follow = follow;
    this.#edit = edit;
    this.conversation = root.dataset.conversation;
    for (const each of root.querySelectorAll('[data-exchange][data-answer-id]')) this.#take(each);
    if (this.last && !location.hash) follow.toEnd();
  }

  /** The newest exchange, if there is one. */
  get last() {
    return this.#exchanges.at(-1);
  }

  /** Add a question with its answer to come; if the reader has just asked it, the page goes there. */
  add(prompt, now = true) {
    const root = this.#template.content.firstElementChild.cloneNode(true);
    root.querySelector('[data-question]').textContent = prompt;
    this.#welcome?.setAttribute('hidden', '');
    const exchange = this.#take(root);
    if (!now) this.#follow.keep(() => this.#root.append(root));
    else this.#root.append(root);
    if (now) this.#follow.toEnd();
    return exchange;
  }

  /** Say what is asked, and where: behind the answer before it, or at the root of the conversation. */
  place(exchange) {
    const before = this.#exchanges.slice(0, this.#exchanges.indexOf(exchange)).findLast((each) => each.there);
    if (!this.conversation) return { prompt: exchange.prompt };
    return { prompt: exchange.prompt, conversation: this.conversation, parent: before?.answer.id ?? '' };
  }

  /** Show nothing behind an exchange any more: that was another branch. */
  endWith(exchange) {
    this.#exchanges.slice(this.#exchanges.indexOf(exchange) + 1).forEach((each) => this.remove(each));
  }

  /** Take an exchange out again. */
  remove(exchange) {
    this.#exchanges = this.#exchanges.filter((other) => other !== exchange);
    exchange.root.remove();
  }

  /** The reader has asked for an answer, so the page goes there. */
  #asked(ask) {
    ask();
    this.#follow.toEnd();
  }

  #take(root) {
    const exchange = new Exchange(root, this.#t, this.#follow);
    root.querySelector('[data-retry]').addEventListener('click', () => this.onRetry(exchange));
    root.querySelector('[data-continue]').addEventListener('click', () => this.onContinue(exchange));
    exchange.tools = new Tools(exchange, this.#edit, this.#t);
    exchange.tools.onEdit = (prompt) => this.#asked(() => this.onEdit(exchange, prompt));
    exchange.tools.onAgain = (model) => this.#asked(() => this.onAgain(exchange, model));
    exchange.tools.onSay = (words) => this.onSay(words);
    this.#exchanges.push(exchange);
    return exchange;
  }
}
