// The article's first client: EventSource. It reconnects by itself; it hears only the event names that it was told of.

const READY_STATE = ['CONNECTING', 'OPEN', 'CLOSED'];
const HEARD = ['open', 'message', 'reset', 'done', 'error'];

/** One EventSource at a time, every step of which is shown. */
export class EventSourceClient {
  #pane;
  #source = null;
  #lastId = '';
  #lostAt = 0;

  constructor(pane) {
    this.#pane = pane;
  }

  /** Connect; `listen` is one more event name to hear, `lastId` what the address says that was read before. */
  open({ url, lastId = '' }, { listen }) {
    this.#lastId = lastId;
    this.#lostAt = 0;
    this.#source = new EventSource(url);
    const names = new Set([...HEARD, listen].filter(Boolean));
    for (const name of names) this.#source.addEventListener(name, (event) => this.#heard(event));
  }

  /** Close for good; the browser then makes no further try. */
  close() {
    this.#source?.close();
  }

  // The browser's own `open` and `error` carry no data; events of the server with those names do.
  #heard(event) {
    if (event instanceof MessageEvent) this.#message(event);
    else if (event.type === 'open') this.#opened();
    else this.#failed();
  }

  #message({ type, data, lastEventId }) {
    this.#lastId = lastEventId;
    if (!this.#pane.event({ event: type, data, id: lastEventId })) return;
    this.close();
    this.#pane.state('closed', 'playground.say.ended');
  }

  #opened() {
    this.#wire('open');
    if (this.#lostAt) this.#reconnected();
    else this.#pane.state('open');
  }

  #reconnected() {
    const values = { ms: Math.round(performance.now() - this.#lostAt), id: this.#lastId };
    this.#lostAt = 0;
    if (!this.#lastId) this.#pane.text('');
    this.#pane.state('open', this.#lastId ? 'playground.say.resumed' : 'playground.say.begun_again', values);
  }

  #failed() {
    this.#wire('error');
    this.#lostAt ||= performance.now();
    const closed = this.#source.readyState === EventSource.CLOSED;
    this.#pane.state(closed ? 'error' : 'reconnecting', closed ? 'playground.say.no_reason' : 'playground.say.by_itself');
  }

  #wire(name) {
    const { readyState } = this.#source;
    this.#pane.wire(name, `readyState ${readyState} (${READY_STATE[readyState]})`);
  }
}
