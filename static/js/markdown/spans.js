// Pure: what highlight.js writes, read without an HTML parser: text, and spans with a class.

const PIECE = /<span class="([\w -]+)">|(<\/span>)|([^<]+)/g;
const ENTITIES = { '&amp;': '&', '&lt;': '<', '&gt;': '>', '&quot;': '"', '&#x27;': "'" };

/** Read it into a list of texts and { classes, parts }. */
export function parse(html) {
  const open = [[]];
  for (const [, classes, end, text] of html.matchAll(PIECE)) {
    if (end) open.pop();
    else if (text) open.at(-1).push(text.replace(/&(?:amp|lt|gt|quot|#x27);/g, (entity) => ENTITIES[entity]));
    else open.push(begin(open.at(-1), classes));
  }
  return open[0];
}

function begin(parent, classes) {
  const parts = [];
  parent.push({ classes, parts });
  return parts;
}

/** Divide such a list into lists of so many characters each. */
export function divide(parts, lengths) {
  let rest = parts;
  return lengths.map((chars) => {
    const [piece, behind] = split(rest, chars);
    rest = behind;
    return piece;
  });
}

function split(parts, chars) {
  const [left, right] = [[], []];
  let room = chars;
  for (const part of parts) {
    const length = lengthOf(part);
    if (room >= length) left.push(part);
    else if (room <= 0) right.push(part);
    else halves(part, room).forEach((half, at) => [left, right][at].push(half));
    room -= length;
  }
  return [left, right];
}

function halves(part, chars) {
  if (typeof part === 'string') return [part.slice(0, chars), part.slice(chars)];
  return split(part.parts, chars).map((parts) => ({ ...part, parts }));
}

function lengthOf(part) {
  return typeof part === 'string' ? part.length : part.parts.reduce((sum, each) => sum + lengthOf(each), 0);
}
