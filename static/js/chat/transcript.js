// The exchanges of a conversation, in the page.

import { idsOf, showFiles } from '../files/shown.js';
import { Exchange } from './exchange.js';
import { renewSteps } from './steps.js';
import { instead, Tools } from './tools.js';
import { Writer } from './writer.js';

export class Transcript {
  onRetry = () => {};
  onContinue = () => {};
  onEdit = () => {};
  onAgain = () => {};
  onSay = () => {};
  #root;
  #t;
  #follow;
  #writer;
  #edit;
  #exchanges = [];
  #template = document.querySelector('[data-exchange-template]');
  #welcome = document.querySelector('[data-welcome]');

  constructor(root, t, follow, edit) {
    this.#root = root;
    this.#t = t;
    this.#follow = follow;
    this.#writer = new Writer((change) => follow.keep(change));
    this.#edit = edit;
    this.conversation = root.dataset.conversation;
    for (const each of root.querySelectorAll('[data-exchange][data-answer-id]')) this.#take(each);
    if (this.last && !location.hash) follow.toEnd();
  }

  /** The newest exchange, if there is one. */
  get last() {
    return this.#exchanges.at(-1);
  }

  /** The id of the newest answer that the server has. */
  get leaf() {
    return this.#exchanges.findLast((each) => each.there)?.answer.id;
  }

  /** Find the exchange of an answer. */
  find(answer) {
    return this.#exchanges.find((each) => each.root.dataset.answerId === answer);
  }

  /** Add a question with its answer to come; if the reader has just asked it, the page goes there. */
  add({ prompt, files }, now = true) {
    const root = this.#template.content.firstElementChild.cloneNode(true);
    root.querySelector('[data-question]').textContent = prompt;
    showFiles(root.querySelector('[data-files]'), files, this.#t);
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
    const question = { prompt: exchange.prompt, files: idsOf(exchange.files) };
    if (!this.conversation) return question;
    return { ...question, conversation: this.conversation, parent: before?.answer.id ?? '' };
  }

  /** Show nothing behind an exchange any more: that was another branch. */
  endWith(exchange) {
    this.#exchanges.slice(this.#exchanges.indexOf(exchange) + 1).forEach((each) => this.remove(each));
  }

  /**
   * Take over what the server has of the conversation, from the first exchange on that differs; gives the newest one, or
   * null if none does. A question that has not reached the server stays, at the end.
   */
  adopt(roots) {
    const there = this.#exchanges.filter((each) => each.there);
    const waiting = this.#exchanges.filter((each) => !each.there);
    const from = roots.findIndex((root, at) => !isSame(there[at]?.root, root));
    there.slice(0, from < 0 ? roots.length : from).forEach((each, at) => renewSteps(each.root, roots[at]));
    if (from < 0) return null;
    there.slice(from).forEach((each) => this.remove(each));
    this.#welcome?.setAttribute('hidden', '');
    this.#follow.keep(() => this.#root.append(...roots.slice(from), ...waiting.map((each) => each.root)));
    this.#exchanges = there.slice(0, from);
    const taken = roots.slice(from).map((root) => this.#take(root));
    this.#exchanges.push(...waiting);
    return taken.at(-1);
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
    const exchange = new Exchange(root, this.#t, this.#follow, this.#writer);
    root.querySelector('[data-retry]').addEventListener('click', () => this.onRetry(exchange));
    root.querySelector('[data-continue]').addEventListener('click', instead(() => this.onContinue(exchange)));
    exchange.tools = new Tools(exchange, this.#edit, this.#t);
    exchange.tools.onEdit = (prompt) => this.#asked(() => this.onEdit(exchange, prompt));
    exchange.tools.onAgain = (model) => this.#asked(() => this.onAgain(exchange, model));
    exchange.tools.onSay = (words) => this.onSay(words);
    this.#exchanges.push(exchange);
    return exchange;
  }
}

/** Say if an exchange in the page is as the server has it. */
function isSame(ours, theirs) {
  return ours?.dataset.answerId === theirs.dataset.answerId && ours.dataset.state === theirs.dataset.state;
}
