// The requests of a conversation (CONTRACT: /api/conversations). Each throws a Refusal, or what fetch throws.

import { refusalOf } from '../answers/refusal.js';

const PATH = '/api/conversations';

/** Make a conversation; gives its id. */
export async function create() {
  return (await send('POST', PATH, {})).id;
}

/** Change some of a conversation's values; gives it as it is then. */
export function change(conversation, values) {
  return send('PATCH', `${PATH}/${conversation}`, values);
}

async function send(method, path, values) {
  const headers = { 'Content-Type': 'application/json', Accept: 'application/json' };
  const response = await fetch(path, { method, headers, body: JSON.stringify(values) });
  if (!response.ok) throw await refusalOf(response);
  return response.json();
}
