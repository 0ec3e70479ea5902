// A page of the server's, as it would write it now.

import { refusalOf } from './answers/refusal.js';

/** Fetch a page and read it, without showing it. Throws a Refusal, or what fetch throws. */
export async function fetchPage(address, signal) {
  const response = await fetch(address, { headers: { Accept: 'text/html' }, cache: 'no-store', signal });
  if (!response.ok) throw await refusalOf(response);
  return new DOMParser().parseFromString(await response.text(), 'text/html');
}
