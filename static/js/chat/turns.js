// One answer at a time: a new one waits until the one before it has ended, which it is told to do.

const STOPPED = { type: 'done', state: 'stopped', content: '', reasoning: '', whole: true };

export class Turns {
  onEvent = () => {}; // (exchange, event): what happens to an answer
  onRefusal = () => {}; // (exchange, refusal): nothing more will
  onEnd = () => {}; // (end) of the newest one: its `done`, or nothing
  #newest = null; // the turn that runs, or comes next
  #last = Promise.resolve(); // ends with the turn that runs

  get busy() {
    return this.#newest !== null;
  }

  /** Wait until no turn runs, and none comes next. */
  async ended() {
    while (this.busy) await this.#last;
  }

  /** Follow an answer; `take` makes it when its turn has come. */
  run(exchange, take) {
    this.stop();
    const turn = (this.#newest = { answer: null, stopped: false });
    this.#last = this.#last.then(() => turn === this.#newest && this.#follow(turn, exchange, take));
  }

  /** What a refused stop is about, the answer's own events tell. */
  stop() {
    if (!this.#newest) return;
    this.#newest.stopped = true;
    this.#newest.answer?.stop().catch(() => {});
  }

  async #follow(turn, exchange, take) {
    let end;
    this.onEvent(exchange, { type: 'begin' });
    try {
      turn.answer = exchange.answer = await take();
      for await (const event of turn.stopped ? [STOPPED] : turn.answer) this.onEvent(exchange, (end = event));
    } catch (refusal) {
      this.onRefusal(exchange, refusal);
      end = null;
    }
    if (turn !== this.#newest) return;
    this.#newest = null;
    this.onEnd(end);
  }
}
