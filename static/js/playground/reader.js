// One of the two readers of a journal: follows an answer from its beginning, or behind the last id that it has seen.

import { bindButtons } from './buttons.js';
import { newKey, tear, underKey } from './cut.js';
import { EventSourceClient } from './event_source_client.js';
import { FetchClient } from './fetch_client.js';
import { Pane } from './pane.js';
import { withQuery } from './request.js';

const JOURNAL = { raw: false, last: 'done', listen: 'phase' };
const KINDS = {
  'event-source': {
    Client: EventSourceClient, // cannot set a header: a new one says in the query what the one before has seen
    behind: (request, id) => ({ ...request, url: withQuery(request.url, [['last_event_id', id]]), lastId: id }),
  },
  fetch: {
    Client: FetchClient,
    behind: (request, id) => ({ ...request, headers: { ...request.headers, 'Last-Event-ID': id } }),
  },
};

export class Reader {
  onChange = () => {};
  end = null; // what `done` says, once it was read
  #kind;
  #pane;
  #client;
  #answer = '';
  #key = '';
  #lastId = '';

  constructor(root, say, rowTemplate) {
    this.#kind = KINDS[root.dataset.reader];
    this.#pane = new Pane(root, say, rowTemplate);
    this.#pane.onEvent = (event) => this.#took(event);
    this.#client = new this.#kind.Client(this.#pane);
    const cut = () => tear(this.#key, {}, this.#pane);
    bindButtons(root, { resume: () => this.resume(), stop: () => this.stop(), cut });
    addEventListener('pagehide', () => this.#client.close());
  }

  /** The text so far. */
  get text() {
    return this.#pane.shown;
  }

  /** Read an answer from its beginning. */
  follow(answer) {
    this.#answer = answer;
    this.#lastId = '';
    this.end = null;
    this.#client.close();
    this.#pane.begin(JOURNAL);
    this.#open();
  }

  /** Go on behind the last id. */
  resume() {
    this.#client.close();
    this.#pane.state('connecting');
    this.#open();
  }

  /** Stop reading; the answer goes on. */
  stop() {
    this.#client.close();
    this.#pane.state('closed', 'playground.say.stopped');
  }

  #open() {
    const request = { method: 'GET', url: `/api/answers/${encodeURIComponent(this.#answer)}/events`, headers: { Accept: 'text/event-stream' } };
    const asked = this.#lastId ? this.#kind.behind(request, this.#lastId) : request;
    const lastId = asked.headers['Last-Event-ID'];
    this.#pane.wire('request', `GET ${asked.url}${lastId ? `\nLast-Event-ID: ${lastId}` : ''}`);
    this.#key = newKey();
    this.#client.open(underKey(asked, this.#key), JOURNAL);
  }

  #took({ event, data, id }) {
    this.#lastId = id || this.#lastId;
    this.end = event === 'done' ? JSON.parse(data) : null;
    this.onChange();
  }
}
