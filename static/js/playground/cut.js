// Cutting: a stream is opened under a random key, and whoever knows the key can have the server tear it.

import { withQuery } from './request.js';

/** Make a key that nobody guesses. */
export function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Give the same request under a key. */
export function underKey(request, key) {
  return { ...request, url: withQuery(request.url, [['cut', key]]) };
}

/** Have the connection torn that was opened under a key; a pane shows what happens. */
export async function tear(key, headers, pane) {
  pane.wire('cut', 'POST /playground/cut');
  try {
    const { status } = await cut(key, headers);
    if (status !== 202) pane.wire('cut', `status ${status}`);
  } catch (error) {
    pane.wire('cut', error.message);
  }
}

function cut(key, headers) {
  return fetch('/playground/cut', {
    method: 'POST',
    headers: { ...headers, 'Content-Type': 'application/json' },
    body: JSON.stringify({ cut: key }),
  });
}
