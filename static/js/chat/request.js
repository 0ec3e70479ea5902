// The request for an answer, and how it can be refused.

import { isEventStream } from '../sse.js';

const ACCEPT = 'text/event-stream, application/problem+json';

/** Why there is no stream; `status` is 0 where no response came at all. */
export class Refusal extends Error {
  constructor(status, problem = {}, retryAfterS = null) {
    super(problem.detail ?? `status ${status}`);
    this.status = status;
    this.detail = problem.detail ?? '';
    this.retryAfterS = retryAfterS;
  }
}

/** Ask; gives the body of the event stream. Throws a Refusal, what fetch throws, or AbortError. */
export async function ask({ prompt, model }, signal) {
  const response = await fetch('/stream', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Accept: ACCEPT },
    body: JSON.stringify(model ? { name: prompt, model } : { name: prompt }),
    signal,
  });
  if (isEventStream(response)) return response.body;
  throw new Refusal(response.status, await problemOf(response), retryAfter(response.headers.get('Retry-After')));
}

/** Read Retry-After, which is seconds or a date; gives seconds or null. */
export function retryAfter(header, now = Date.now()) {
  if (!header) return null;
  const seconds = /^\d+$/.test(header) ? Number(header) : Math.ceil((Date.parse(header) - now) / 1000);
  return Number.isFinite(seconds) ? Math.max(0, seconds) : null;
}

async function problemOf(response) {
  try {
    return Object(await response.json());
  } catch {
    return {};
  }
}
