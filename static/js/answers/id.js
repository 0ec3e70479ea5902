// Pure: the name of an answer, chosen by whoever asks for it, so that asking twice is asking once.

/** Make a UUID (version 4); a page without a secure context has no randomUUID, but it has random bytes. */
export function newId(crypto = globalThis.crypto) {
  return crypto.randomUUID?.() ?? fromBytes(crypto.getRandomValues(new Uint8Array(16)));
}

function fromBytes(bytes) {
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
