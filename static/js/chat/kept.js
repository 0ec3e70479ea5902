// What outlives a reload of this tab. Storage may be forbidden by the browser; then nothing does.

/** Read what is kept under a key, or null. */
export function kept(key) {
  return attempt(() => sessionStorage.getItem(key));
}

/** Keep a text under a key; an empty one is forgotten. */
export function keep(key, text) {
  attempt(() => (text ? sessionStorage.setItem(key, text) : sessionStorage.removeItem(key)));
}

/** Read a value that was kept as JSON; `otherwise`, if there is none that can be read. */
export function keptValue(key, otherwise) {
  return attempt(() => JSON.parse(sessionStorage.getItem(key))) ?? otherwise;
}

/** Use a storage; gives null where the browser forbids it, or what stands there cannot be read. */
export function attempt(use) {
  try {
    return use();
  } catch {
    return null;
  }
}
