// What is asked, and where: Send, Stop, Restart, Retry, Continue, Edit, Regenerate, and questions that wait.
// Leaving the page stops nothing.

import { Answer } from '../answers/answer.js';
import { showAddress } from './address.js';
import { showSteps } from './steps.js';
import { Turns } from './turns.js';

const HELD = { stopped: 'queue.stopped', complete: 'queue.elsewhere' };

export class Chat {
  onConversation = () => {}; // the conversation has got its id
  onMissing = () => {}; // the page lacks what the server has
  speech; // comes when the page is usable
  #transcript;
  #composer;
  #queue;
  #t;
  #turns = new Turns();

  /** `settings` is a promise. */
  constructor({ transcript, composer, queue, settings }, t) {
    [this.#transcript, this.#composer, this.#queue] = [transcript, composer, queue];
    [this.settings, this.#t] = [settings, t];
    this.#listen();
    composer.restartable = Boolean(transcript.last);
    this.#takeOver(transcript.last);
  }

  /** The id of the conversation; empty before its first question. */
  get conversation() {
    return this.#transcript.conversation;
  }

  /** The id of the newest answer that is shown; undefined before the first. */
  get leaf() {
    return this.#transcript.leaf;
  }

  /** Wait until no answer is followed. */
  whenFree() {
    return this.#turns.ended();
  }

  /** Tell the state of an answer as it is shown; undefined if it is not. */
  stateOf(answer) {
    return this.#transcript.find(answer)?.root.dataset.state;
  }

  /** Show what other tabs have asked or continued: the last exchanges as the server writes them now, and what is `above` them. */
  adopt(roots, above) {
    if (this.#turns.busy) return;
    const newest = this.#transcript.adopt(roots, above);
    this.#composer.restartable = Boolean(this.#transcript.last);
    if (newest?.root.dataset.state === 'running') this.#join(newest);
  }

  #listen() {
    const [transcript, composer, turns] = [this.#transcript, this.#composer, this.#turns];
    composer.onSend = (question) => this.#send(question);
    composer.onStop = () => turns.stop();
    composer.onRestart = () => this.#ask(transcript.last);
    transcript.onRetry = (exchange) => this.#ask(exchange);
    transcript.onAgain = (exchange, model) => this.#ask(exchange, { model: model ?? composer.offered(exchange.model) });
    transcript.onEdit = (exchange, prompt) => this.#ask(exchange.rewrite(prompt));
    transcript.onContinue = (exchange) => this.#run(exchange, () => exchange.answer.continue());
    transcript.onSay = (words) => composer.say(words);
    this.#queue.onGo = () => turns.busy || this.#next();
    turns.onEvent = (exchange, event) => this.#show(exchange, event);
    turns.onRefusal = (exchange, refusal) => this.#refused(exchange, refusal);
    turns.onEnd = (end) => this.#settle(end);
  }

  /** Ask a question, or have it wait for the answer that runs. */
  #send(question) {
    if (this.#turns.busy) this.#composer.say(this.#queue.add(question));
    else this.#ask(this.#transcript.add(question));
  }

  /** Go on where the server's page has left off. */
  #takeOver(last) {
    const { state } = last?.root.dataset ?? {};
    if (state === 'running') this.#join(last);
    else this.#settle(last ? { state } : {});
  }

  /** Follow an answer that runs already: what waits comes after it. */
  #join(exchange) {
    this.#queue.join(this.conversation, exchange.answer.id, (answer) => this.#transcript.find(answer));
    this.#run(exchange, () => exchange.answer);
  }

  /** Ask the question of an exchange (again): a new answer, behind which there is nothing yet. */
  #ask(exchange, more = {}) {
    const model = more.model || this.#composer.model;
    this.#transcript.endWith(exchange);
    this.#run(exchange, async () => {
      exchange.clear();
      this.#transcript.conversation = await (await this.settings).place(this.#transcript.conversation);
      return new Answer({ ...this.#transcript.place(exchange), ...more, model });
    });
  }

  #run(exchange, take) {
    this.#composer.busy = true;
    this.#composer.restartable = true;
    this.#queue.hold('');
    this.#turns.run(exchange, take);
  }

  #show(exchange, event) {
    if (event.type === 'begin') this.speech?.begin();
    if (event.type === 'open') this.#opened(exchange, event);
    this.speech?.take(event);
    this.#composer.say(exchange.show(event));
  }

  #opened(exchange, { conversation, answer }) {
    this.#transcript.conversation = conversation;
    showAddress(conversation);
    this.#composer.moved(conversation);
    this.settings.then((settings) => settings.moved(conversation));
    this.#queue.follow(conversation, answer);
    this.onConversation();
    if (exchange.asked > 1) showSteps(exchange.root, conversation, answer);
  }

  #refused(exchange, refusal) {
    this.#composer.say(exchange.refuse(refusal));
    if (refusal.status !== 422) return;
    this.#transcript.remove(exchange);
    const { root, rewritten } = exchange;
    const back = root.dataset.answerId && !rewritten ? { prompt: '', files: [] } : exchange;
    this.#composer.refuse(back, this.#t(`problem.${refusal.code}`) ?? refusal.detail);
    if (root.dataset.answerId) this.onMissing(); // it has versions, and others behind it
  }

  #settle(end) {
    this.#composer.busy = false;
    this.#composer.restartable = Boolean(this.#transcript.last);
    const goesOn = end?.state === 'complete' && this.#queue.belongsBehind(this.#transcript.last?.answer.id);
    if (goesOn) this.#next();
    else this.#queue.hold(this.#t(HELD[end?.state] ?? 'queue.failed'));
  }

  /** Ask the first question that waits. The reader may be elsewhere in the page, and is left there. */
  #next() {
    const next = this.#queue.take();
    if (next) this.#ask(this.#transcript.add(next, false), { answer: next.answer });
  }
}
