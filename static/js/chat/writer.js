// What arrives between two frames goes into the page together, and never takes longer than a frame has room for, however
// many texts there are.

const FRAME_MS = 6; // to write and lay out; to paint comes on top of it

export class Writer {
  #apply;
  #waiting = new Set(); // renderings that have something to do
  #frame = 0;

  /** `apply` makes a change to the page (and keeps the reader's place meanwhile). */
  constructor(apply) {
    this.#apply = apply;
  }

  /** Have a rendering go on, with the next frame. */
  wake(rendering) {
    this.#waiting.add(rendering);
    this.#frame ||= requestAnimationFrame(() => this.flush());
  }

  /** Put into the page what there is time for; the rest comes with the next frames, which stand still in a hidden tab. */
  flush() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    if (this.#waiting.size) this.#apply(() => this.#write());
  }

  /** The newest text first: there the reader is. */
  #write() {
    const deadline = performance.now() + FRAME_MS;
    for (const rendering of [...this.#waiting].reverse()) {
      this.#waiting.delete(rendering);
      if (rendering.step(deadline)) this.wake(rendering);
      if (this.#waiting.size && rendering.isLate(deadline)) break;
    }
    if (this.#waiting.size) this.#frame ||= requestAnimationFrame(() => this.flush());
  }
}
