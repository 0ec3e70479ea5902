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
  #earlier = document.querySelector('[data-earlier]');
  #welcome = document.querySelector('[data-welcome]');

  constructor(root, t, follow, edit) {
    this.#root = root;
    this.#t = t;
    this.#follow = follow;
    this.#writer = new Writer((change) => follow.keep(change));
    this.#edit = edit;
    this.conversation = root.dataset.conversation;
    this.#exchanges = Array.from(root.querySelectorAll('[data-exchange][data-answer-id]'), (each) => this.#take(each));
    if (this.last && !location.hash) follow.toEnd();
  }

  /** The newest exchange, if there is one. */
  get last() {
    return this.#exchanges.at(-1);
  }

  /** The id of the answer in front of the first one in the page; empty if there is none. */
  get above() {
    return this.#root.dataset.above;
  }

  set above(answer) {
    this.#root.dataset.above = answer;
    this.#earlier.hidden = !answer;
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
    this.#exchanges.push(exchange);
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
    return { ...question, conversation: this.conversation, parent: before?.answer.id ?? this.above };
  }

  /** Show nothing behind an exchange any more: that was another branch. */
  endWith(exchange) {
    this.#exchanges.slice(this.#exchanges.indexOf(exchange) + 1).forEach((each) => this.remove(each));
  }

  /** Have the focus, which has lost its place. */
  focus() {
    this.#root.tabIndex = -1;
    this.#root.focus({ preventScroll: true });
  }

  /** Show exchanges in front of all others; `above` is then in front of the first one. */
  prepend(roots, above) {
    this.#follow.before(this.#root.firstElementChild, () => {
      this.#root.prepend(...roots);
      this.above = above;
    });
    this.#exchanges.unshift(...roots.map((root) => this.#take(root)));
  }

  /**
   * Take over what the server has of the conversation's end, from the first exchange on that differs; gives the newest one,
   * or null if none does. A question that has not reached the server stays, at the end.
   */
  adopt(roots, above) {
    const there = this.#exchanges.filter((each) => each.there);
    const waiting = this.#exchanges.filter((each) => !each.there);
    const begin = there.findIndex(({ answer }) => answer.id === roots[0]?.dataset.answerId);
    if (begin < 0) this.above = above;
    const kept = there.splice(0, begin < 0 ? 0 : begin);
    const from = roots.findIndex((root, at) => !isSame(there[at]?.root, root));
    there.slice(0, from < 0 ? roots.length : from).forEach((each, at) => renewSteps(each.root, roots[at]));
    if (from < 0) return null;
    there.slice(from).forEach((each) => this.remove(each));
    this.#welcome?.setAttribute('hidden', '');
    this.#follow.keep(() => this.#root.append(...roots.slice(from), ...waiting.map((each) => each.root)));
    const taken = roots.slice(from).map((root) => this.#take(root));
    this.#exchanges = [...kept, ...there.slice(0, from), ...taken, ...waiting];
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
    return exchange;
  }
}

/** Say if an exchange in the page is as the server has it. */
function isSame(ours, theirs) {
  return ours?.dataset.answerId === theirs.dataset.answerId && ours.dataset.state === theirs.dataset.state;
}
