// Pure: has a reader the whole text? The `done` event says how long it is and what its SHA-256 is.

/** Compare a text with what `done` says of it; in an insecure context there is no digest, so the length decides. */
export async function isWhole(text, { chars, sha256 }, subtle = globalThis.crypto?.subtle) {
  if (chars !== undefined && chars !== codePoints(text)) return false;
  return !sha256 || !subtle || sha256 === (await digest(text, subtle));
}

/** Count code points, as the server counts: a pair of surrogates is one. */
export function codePoints(text) {
  return text.length - (text.match(/[\ud800-\udbff][\udc00-\udfff]/g)?.length ?? 0);
}

async function digest(text, subtle) {
  const bytes = new Uint8Array(await subtle.digest('SHA-256', new TextEncoder().encode(text)));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
