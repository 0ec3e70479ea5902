// What one client shows: the state of its connection in words, the text of the answer, the raw events.

import { EventList } from './event_list.js';
import { keepingEnd, oncePerFrame } from './follow.js';
import { isLast, textAfter } from './text.js';

const STATES = {
  connecting: 'playground.say.connecting',
  open: 'playground.say.open',
  reconnecting: 'playground.say.reconnecting',
  closed: 'playground.say.closed',
  error: 'playground.say.error',
};
const RUNNING = ['connecting', 'open', 'reconnecting'];

/** The output half of a client's panel. */
export class Pane {
  onEvent = () => {};
  #root;
  #say;
  #answer;
  #list;
  #endpoint;
  #text = '';
  #render = oncePerFrame(() => keepingEnd(this.#answer, () => (this.#answer.textContent = this.#text)));

  constructor(root, say, rowTemplate) {
    this.#root = root;
    this.#say = say;
    this.#answer = root.querySelector('[data-answer]');
    this.#list = new EventList(root.querySelector('[data-events]'), rowTemplate);
  }

  /** Begin a request: nothing of the one before stays. */
  begin(endpoint) {
    this.#endpoint = endpoint;
    this.#list.begin();
    this.text('');
    this.state('connecting');
  }

  /** Show the connection's state, with a sentence behind it if there is one. */
  state(name, sentence = '', values = {}) {
    this.#root.dataset.state = name;
    this.#part('state').textContent = this.#say(STATES[name]);
    this.#part('sentence').textContent = sentence && this.#say(sentence, values);
    this.#root.dispatchEvent(new CustomEvent('statechange', { detail: { running: RUNNING.includes(name) } }));
  }

  /** Show one event; tells whether the answer ends with it. */
  event({ event = 'message', data, id = '' }) {
    this.#list.add('event', event, data, id);
    this.text(textAfter(this.#text, { event, data }, this.#endpoint));
    this.onEvent({ event, data, id });
    return isLast({ event, data }, this.#endpoint);
  }

  /** The text, as it is shown with the next frame. */
  get shown() {
    return this.#text;
  }

  /** Show what came over the wire, or happened to the connection, and is no event. */
  wire(name, data) {
    this.#list.add('wire', name, data);
  }

  /** Show characters that came without events. */
  characters(piece) {
    this.wire('chunk', piece);
    this.text(this.#text + piece);
  }

  /** Replace the whole text. */
  text(text) {
    this.#text = text;
    this.#render();
  }

  #part(name) {
    return this.#root.querySelector(`[data-part=${name}]`);
  }
}
