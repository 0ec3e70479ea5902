// When to try again at once: the page is seen again, comes out of the back/forward cache, has a network again, or the
// machine has slept.

const TICK_MS = 3000;
const SLEPT_MS = 9000; // no tick is ever so late in a page that is seen
const WAKES = {
  visibilitychange: () => globalThis.document?.visibilityState === 'visible',
  pageshow: (event) => event.persisted,
  online: () => true,
};

/** Call `wake` at each such moment, until the signal aborts; where there is no page, there are none but the last. */
export function onWake(wake, signal) {
  if (signal.aborted) return;
  for (const [type, counts] of Object.entries(WAKES)) {
    globalThis.addEventListener?.(type, (event) => counts(event) && wake(), { signal });
  }
  onSlept(wake, signal);
}

/** A machine that slept tells nobody, and its connections may be dead: but its clock went on while its timers stood still. */
function onSlept(wake, signal) {
  let last = Date.now();
  const timer = setInterval(() => {
    const slept = Date.now() - last > SLEPT_MS;
    last = Date.now();
    if (slept && !globalThis.document?.hidden) wake(); // timers of a hidden page are late anyway
  }, TICK_MS);
  timer.unref?.(); // a program may end
  signal.addEventListener('abort', () => clearInterval(timer), { once: true });
}

/** Wait, at most until the signal aborts. */
export function sleep(seconds, signal) {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const timer = setTimeout(resolve, seconds * 1000);
    signal.addEventListener('abort', () => resolve(clearTimeout(timer)), { once: true });
  });
}
