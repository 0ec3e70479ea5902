// Seconds that pass, told one by one.

export class Countdown {
  #timer;

  /** Tell the seconds that are left, now and with each that passes; gives what was told first. */
  start(seconds, tell) {
    this.stop();
    const end = performance.now() + seconds * 1000;
    this.#timer = setInterval(() => tell(Math.max(0, (end - performance.now()) / 1000)), 1000);
    return tell(seconds);
  }

  stop() {
    clearInterval(this.#timer);
  }
}
