// The parts of rendered text that have words or buttons: the server writes them once, into a template.

let found; // looked for once: it stands behind all that is rendered
const template = () => (found ??= document.querySelector('[data-prose-parts]'));

/** Give a copy of a part: `code` or `table`. */
export function part(name) {
  return template().content.querySelector(`[data-${name}]`).cloneNode(true);
}

/** Say one of its words. */
export function word(name) {
  return template().dataset[name];
}
