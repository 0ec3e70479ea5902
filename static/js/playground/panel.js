// One client's panel: its form, its buttons, what it shows.

import { bindButtons } from './buttons.js';
import { newKey, tear, underKey } from './cut.js';
import { Pane } from './pane.js';
import { RequestForm } from './request_form.js';

/** Binds the markup of a panel to a client of the given class. */
export class Panel {
  #form;
  #pane;
  #client;
  #key = '';

  constructor(root, Client, say, rowTemplate) {
    this.#form = new RequestForm(root.querySelector('form'), root.querySelector('[data-curl]'));
    this.#pane = new Pane(root, say, rowTemplate);
    this.#client = new Client(this.#pane);
    this.#bind(root);
  }

  /** Send the request, after whatever runs has been stopped. */
  send() {
    const endpoint = this.#form.endpoint();
    this.#client.close();
    this.#key = newKey();
    this.#pane.begin(endpoint);
    this.#client.open(underKey(this.#form.request(), this.#key), endpoint);
  }

  /** Stop from this side: no error, and nobody reconnects. */
  stop() {
    this.#client.close();
    this.#pane.state('closed', 'playground.say.stopped');
  }

  /** Have the server tear the connection, which is a fault of the network to this side. */
  cut() {
    return tear(this.#key, this.#form.authorization(), this.#pane);
  }

  #bind(root) {
    const actions = { send: () => this.send(), restart: () => this.send(), stop: () => this.stop(), cut: () => this.cut() };
    root.addEventListener('submit', (event) => event.preventDefault());
    bindButtons(root, actions);
    addEventListener('pagehide', () => this.#client.close());
  }
}
