// How a server refuses a request.

import { retryAfter } from './backoff.js';

const AGAIN = new Set([408, 425, 429]);

/** Why a request got no good response. `final`: asking again is of no use. */
export class Refusal extends Error {
  constructor(response, problem = {}) {
    super(problem.detail ?? `status ${response.status}`);
    this.status = response.status;
    this.detail = problem.detail ?? '';
    this.code = problem.code ?? '';
    this.retryAfterS = retryAfter(response.headers.get('Retry-After'));
    this.final = this.status >= 400 && this.status < 500 && !AGAIN.has(this.status);
  }
}

/** Read the refusal out of a response. */
export async function refusalOf(response) {
  return new Refusal(response, Object(await response.json().catch(() => ({}))));
}
