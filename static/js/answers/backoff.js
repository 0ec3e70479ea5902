// Pure: how long to wait before the next try.

const FIRST_S = 0.5;
const MOST_S = 30;
const LONGEST_S = 3600; // whatever a server asks for

/** Full jitter: anything up to a bound that doubles with each try in vain, so that a crowd comes back one by one. */
export function waitS(tries, retryAfterS = null, random = Math.random) {
  const jitter = random() * Math.min(MOST_S, FIRST_S * 2 ** tries);
  return Math.min(LONGEST_S, (retryAfterS ?? 0) + jitter);
}

/** Read Retry-After, which is seconds or a date; gives seconds or null. */
export function retryAfter(header, now = Date.now()) {
  if (!header) return null;
  const seconds = /^\d+$/.test(header) ? Number(header) : Math.ceil((Date.parse(header) - now) / 1000);
  return Number.isFinite(seconds) ? Math.max(0, seconds) : null;
}
