// When to try again at once: the page is seen again, comes out of the back/forward cache, or has a network again.

const WAKES = {
  visibilitychange: () => globalThis.document?.visibilityState === 'visible',
  pageshow: (event) => event.persisted,
  online: () => true,
};

/** Call `wake` at each such moment, until the signal aborts; where there is no page, there are none. */
export function onWake(wake, signal) {
  for (const [type, counts] of Object.entries(WAKES)) {
    globalThis.addEventListener?.(type, (event) => counts(event) && wake(), { signal });
  }
}

/** Wait, at most until the signal aborts. */
export function sleep(seconds, signal) {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const timer = setTimeout(resolve, seconds * 1000);
    signal.addEventListener('abort', () => resolve(clearTimeout(timer)), { once: true });
  });
}
