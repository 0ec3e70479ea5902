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
