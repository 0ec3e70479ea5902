// The requests of conversations (CONTRACT section 4). Each gives what the server says, or throws a Refusal or what fetch throws.

import { refusalOf } from './answers/refusal.js';

const PATH = '/api/conversations';

/** List conversations; what a query leaves undefined is not asked for. */
export function list(query, signal) {
  const asked = Object.entries(query).filter(([, value]) => value);
  return request(`?${new URLSearchParams(asked)}`, { signal });
}

/** Make a conversation with some fields; gives it. */
export function create(values) {
  return request('', { method: 'POST', ...json(JSON.stringify(values)) });
}

/** Change some fields of a conversation; gives it as it is then. */
export function change(id, values) {
  return request(`/${id}`, { method: 'PATCH', ...json(JSON.stringify(values)) });
}

/** Hide a conversation; for a while `restore` brings it back. */
export function remove(id) {
  return request(`/${id}`, { method: 'DELETE' });
}

export function restore(id) {
  return request(`/${id}/restore`, { method: 'POST', ...json('{}') });
}

/** Make a link to it up to an answer, or as it is now; gives {path}. */
export function share(id, leaf) {
  return request(`/${id}/share`, { method: 'POST', ...json(JSON.stringify({ leaf })) });
}

export function revoke(id) {
  return request(`/${id}/share`, { method: 'DELETE' });
}

/** Take in the text of an export of ours; gives the new conversation. */
export function bring(text) {
  return request('/import', { method: 'POST', ...json(text) });
}

/** Give the address of an export, for a link. */
export function exportPath(id, format) {
  return `${PATH}/${id}/export?format=${format}`;
}

function json(body) {
  return { headers: { 'Content-Type': 'application/json' }, body };
}

async function request(path, init) {
  const response = await fetch(PATH + path, { cache: 'no-store', ...init });
  if (!response.ok) throw await refusalOf(response);
  return response.status === 204 ? null : response.json();
}
