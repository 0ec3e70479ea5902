// Pure: where a very long block is cut in two, so that what is parsed again with each frame stays short.

export const LONG_CHARS = 4000;

/** Give the place of the cut, and what is repeated behind it: the head of a table. */
export function cut(block) {
  const carry = block.type === 'table' ? head(block.raw) : '';
  const at = lastItem(block) || lastLine(block.raw);
  return at > carry.length ? { at, carry } : { at: lastWord(block.raw), carry: '' };
}

/** The place of the last of several items; 0 if it is no list, or has one item only. */
function lastItem({ type, items, raw }) {
  return type === 'list' && items.length > 1 ? raw.length - items.at(-1).raw.length : 0;
}

function lastLine(raw) {
  return raw.lastIndexOf('\n', raw.length - 2) + 1;
}

function lastWord(raw) {
  const blank = raw.lastIndexOf(' ', LONG_CHARS);
  return blank > LONG_CHARS / 2 ? blank + 1 : LONG_CHARS - isHighSurrogate(raw.charCodeAt(LONG_CHARS - 1));
}

function isHighSurrogate(code) {
  return Number(code >= 0xd800 && code < 0xdc00);
}

function head(raw) {
  return raw.slice(0, raw.indexOf('\n', raw.indexOf('\n') + 1) + 1);
}
