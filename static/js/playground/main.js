// The playground: the article's two clients, side by side.

import { messagesFrom } from '../messages.js';
import { bindCopy } from './copy.js';
import { EventSourceClient } from './event_source_client.js';
import { FetchClient } from './fetch_client.js';
import { Journal } from './journal.js';
import { Panel } from './panel.js';

const CLIENTS = { 'event-source': EventSourceClient, fetch: FetchClient };

const clients = document.querySelector('[data-clients]');
const say = messagesFrom(clients);
const rowTemplate = document.querySelector('[data-row]');

for (const root of clients.querySelectorAll('[data-client]')) {
  new Panel(root, CLIENTS[root.dataset.client], say, rowTemplate);
  bindCopy(root.querySelector('[data-copy]'), root.querySelector('[data-curl]'), root.querySelector('[data-said]'), say);
}
clients.hidden = false;

const journal = document.querySelector('[data-journal]');
new Journal(journal, say, rowTemplate);
journal.hidden = false;
