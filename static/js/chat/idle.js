// When there is nothing else to do, or soon at any rate.

const SOON_MS = 2000;
const IDLE_MS = 500; // for browsers that do not tell

/** Call back then. */
export function idle(run) {
  if (globalThis.requestIdleCallback) requestIdleCallback(run, { timeout: SOON_MS });
  else setTimeout(run, IDLE_MS);
}
