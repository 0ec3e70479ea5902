// One answer at a time: Send, Stop, Restart, Retry, Continue. Leaving the page stops nothing.

import { Answer } from '../answers/answer.js';
import { showAddress } from './address.js';

export class Chat {
  #transcript;
  #composer;
  #running = null; // the answer that is followed
  #newest = null; // the exchange whose turn it is, or comes next
  #turn = Promise.resolve(); // ends with the answer that is followed

  constructor(transcript, composer) {
    this.#transcript = transcript;
    this.#composer = composer;
    composer.onSend = (prompt) => this.#ask(transcript.add(prompt));
    composer.onStop = () => this.#stop();
    composer.onRestart = () => this.#ask(transcript.last);
    transcript.onRetry = (exchange) => this.#ask(exchange);
    transcript.onContinue = (exchange) => this.#run(exchange, () => exchange.answer.continue());
    composer.restartable = Boolean(transcript.last);
    if (transcript.last?.root.dataset.state === 'running') this.#run(transcript.last, () => transcript.last.answer);
  }

  /** Ask the question of an exchange (again): a new answer. */
  #ask(exchange) {
    this.#run(exchange, () => {
      exchange.clear();
      return new Answer({ ...this.#transcript.place(exchange), model: this.#composer.model });
    });
  }

  /** Follow an answer; one that still runs is stopped first. `take` gives it when its turn has come. */
  #run(exchange, take) {
    this.#stop();
    const turn = (this.#newest = {});
    this.#turn = this.#turn.then(() => turn === this.#newest && this.#follow(exchange, take()));
  }

  /** What a refused stop is about, the answer's own events tell. */
  #stop() {
    this.#running?.stop().catch(() => {});
  }

  async #follow(exchange, answer) {
    this.#begin(exchange, answer);
    try {
      for await (const event of answer) {
        if (event.type === 'open') showAddress((this.#transcript.conversation = event.conversation));
        this.#composer.say(exchange.show(event));
      }
    } catch (refusal) {
      this.#refused(exchange, refusal);
    }
    this.#settle();
  }

  #begin(exchange, answer) {
    this.#running = answer;
    this.#composer.busy = true;
    this.#composer.restartable = true;
    this.#composer.say(exchange.begin(answer));
  }

  #refused(exchange, refusal) {
    this.#composer.say(exchange.refuse(refusal));
    if (refusal.status !== 422) return;
    this.#transcript.remove(exchange);
    this.#composer.refuse(exchange.prompt, refusal.detail);
  }

  #settle() {
    this.#running = null;
    this.#composer.busy = false;
    this.#composer.restartable = Boolean(this.#transcript.last);
  }
}
