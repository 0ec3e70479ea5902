// One answer at a time: Send, Stop, Restart, Retry.

import { receive } from './answer.js';

export class Chat {
  #transcript;
  #composer;
  #controller = null; // of the answer that runs
  #turn = Promise.resolve(); // ends with the answer that runs

  constructor(transcript, composer) {
    this.#transcript = transcript;
    this.#composer = composer;
    composer.onSend = (prompt) => this.#run(transcript.add(prompt, (exchange) => this.#run(exchange)));
    composer.onStop = () => this.#controller?.abort();
    composer.onRestart = () => this.#run(transcript.last);
  }

  /** Ask the question of an exchange (again); an answer that still runs is stopped first. */
  #run(exchange) {
    this.#controller?.abort();
    const controller = new AbortController();
    this.#controller = controller;
    this.#turn = this.#turn.then(() => controller.signal.aborted || this.#answer(exchange, controller));
  }

  async #answer(exchange, controller) {
    this.#composer.busy = true;
    this.#composer.restartable = true;
    exchange.begin();
    const end = await receive({ prompt: exchange.prompt, model: this.#composer.model }, controller.signal, {
      text: (event) => exchange.write(event),
      phase: (phase) => this.#composer.say(exchange.phase(phase)),
    });
    this.#composer.say(exchange.end(end));
    if (end.refusal?.status === 422) this.#giveBack(exchange, end.refusal);
    if (this.#controller === controller) this.#settle();
  }

  #settle() {
    this.#controller = null;
    this.#composer.busy = false;
    this.#composer.restartable = Boolean(this.#transcript.last);
  }

  #giveBack(exchange, refusal) {
    this.#transcript.remove(exchange);
    this.#composer.refuse(exchange.prompt, refusal.detail);
  }
}
