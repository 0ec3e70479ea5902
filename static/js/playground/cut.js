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

/** Ask the server to tear the connection that was opened under a key. */
export function cut(key, headers) {
  return fetch('/playground/cut', {
    method: 'POST',
    headers: { ...headers, 'Content-Type': 'application/json' },
    body: JSON.stringify({ cut: key }),
  });
}
