// Pure: the end of one paragraph that is still being written: what is open in it is closed, or hidden.

const LINK_TEXT_CHARS = 300; // longer than that, a bracket is taken for a bracket
const LINK_TARGET_CHARS = 2000;
const MATH_CHARS = 400;
const AUTOLINK = /^<(?:[A-Za-z][A-Za-z0-9+.-]{0,31}(?::[^\s<>]{0,2000})?|[\w.+-]{0,64}(?:@[\w.-]{0,255})?)$/;
const ENTITY = /^&(?:#[xX]?)?[A-Za-z0-9]{0,31}$/;
const WORD = /[\p{L}\p{N}]/u;
const PUNCTUATION = /[\p{P}\p{S}]/u;

/** Give a paragraph's text so far, as it can be shown. */
export function inlineEnd(text) {
  const open = []; // emphasis: { marker, length }
  let at = 0;
  while (at < text.length) {
    const step = (STEPS[text[at]] ?? plain)(text, at, open);
    if (step.cut !== undefined) return closed(text.slice(0, step.cut), open, step.close);
    at = step.to;
  }
  return closed(text, open);
}

const STEPS = {
  '\\': escape,
  '`': code,
  $: dollar,
  '!': image,
  '[': bracket,
  '<': angle,
  '&': entity,
  '*': emphasis,
  _: emphasis,
  '~': emphasis,
};

function plain(text, at) {
  return { to: at + 1 };
}

/** Close what is open, the innermost first; a marker with nothing behind it is hidden. */
function closed(text, open, close = '') {
  let end = text.trimEnd();
  if (!close) {
    while (open.length && /[*_~]$/.test(end) && open.at(-1).end === end.length) end = end.slice(0, -open.pop().length).trimEnd();
  }
  return end + close + open.toReversed().map(({ marker, length }) => marker.repeat(length)).join('');
}

/** Find the end of something: go on behind it, hide it while it may still come, or take its beginning for text. */
function until(text, at, close, from, most) {
  const end = text.indexOf(close, from);
  if (end >= 0 && end - at <= most) return { to: end + close.length };
  return text.length - at <= most && end < 0 ? { cut: at } : { to: from };
}

function escape(text, at) {
  const next = text[at + 1];
  if (next === undefined) return { cut: at };
  if (next === '(') return until(text, at, '\\)', at + 2, MATH_CHARS);
  if (next === '[') return until(text, at, '\\]', at + 2, MATH_CHARS);
  return { to: at + 2 };
}

function code(text, at) {
  const run = /^`+/.exec(text.slice(at))[0];
  const from = at + run.length;
  const end = closingRun(text, run, from);
  if (end >= 0) return { to: end + run.length };
  const body = text.slice(from).replace(/[`\s]+$/, '');
  return body ? { cut: from + body.length, close: run } : { cut: at };
}

function closingRun(text, run, from) {
  for (let at = text.indexOf(run, from); at >= 0; at = text.indexOf(run, at)) {
    const length = /^`+/.exec(text.slice(at))[0].length;
    if (length === run.length) return at;
    at += length;
  }
  return -1;
}

/** Money is no math: an amount is shown at once. */
function dollar(text, at) {
  if (text[at + 1] === '$') return until(text, at, '$$', at + 2, LINK_TARGET_CHARS);
  if (text[at + 1] === undefined) return { cut: at };
  if (/[\s\d]/.test(text[at + 1])) return { to: at + 1 };
  const line = text.slice(at + 1, at + MATH_CHARS);
  const end = /^[^\n$]*?[^\s$\\]\$(?!\d)/.exec(line);
  if (end) return { to: at + 1 + end[0].length };
  return /[\n$]/.test(line) || line.length >= MATH_CHARS - 1 ? { to: at + 1 } : { cut: at };
}

function image(text, at) {
  if (text[at + 1] === undefined) return { cut: at };
  return text[at + 1] === '[' ? bracket(text, at + 1, [], at) : { to: at + 1 };
}

/** A link is shown when it is whole; brackets that are none are shown as soon as that is clear. */
function bracket(text, at, _open, start = at) {
  const end = matching(text, at, '[', ']', LINK_TEXT_CHARS);
  if (end === undefined) return { cut: start };
  if (end < 0) return { to: at + 1 };
  const next = text[end + 1];
  if (next === undefined) return { cut: start };
  if (next !== '(' && next !== '[') return { to: at + 1 };
  const last = matching(text, end + 1, next, next === '(' ? ')' : ']', LINK_TARGET_CHARS);
  if (last === undefined) return { cut: start };
  return last < 0 ? { to: at + 1 } : { to: last + 1 };
}

/** Find the bracket that closes one: its place, -1 if there is none near enough, undefined if it may still come. */
function matching(text, at, open, close, most) {
  let depth = 0;
  const stop = Math.min(text.length, at + most);
  for (let i = at; i < stop; i += 1) {
    if (text[i] === '\\') i += 1;
    else if (text[i] === open) depth += 1;
    else if (text[i] === close && !--depth) return i;
  }
  return stop === text.length ? undefined : -1;
}

function angle(text, at) {
  return AUTOLINK.test(text.slice(at, at + LINK_TARGET_CHARS)) ? { cut: at } : { to: at + 1 };
}

function entity(text, at) {
  return ENTITY.test(text.slice(at, at + 40)) ? { cut: at } : { to: at + 1 };
}

function emphasis(text, at, open) {
  const marker = text[at];
  let to = at;
  while (text[to] === marker) to += 1;
  const run = { marker, length: to - at, end: to };
  const { opens, closes } = flanks(text, at, to, marker);
  const rest = closes ? shut(open, run) : run.length;
  if (rest && to === text.length) return { cut: to - rest };
  if (rest && opens) open.push({ ...run, length: rest });
  return { to };
}

/** Take a closing run off the openers of its kind; gives what is left of it. */
function shut(open, { marker, length }) {
  while (length && open.some((each) => each.marker === marker)) {
    while (open.at(-1).marker !== marker) open.pop();
    const opener = open.at(-1);
    const used = Math.min(opener.length, length);
    opener.length -= used;
    length -= used;
    if (!opener.length) open.pop();
  }
  return length;
}

/** Can a run of markers open emphasis, and can it close one? (CommonMark, "left-flanking" and "right-flanking") */
function flanks(text, at, to, marker) {
  const before = text.slice(0, at).match(/.$/su)?.[0] ?? ' ';
  const after = String.fromCodePoint(text.codePointAt(to) ?? 32);
  const left = flank(after, before);
  const right = flank(before, after);
  if (marker === '_') return { opens: left && !WORD.test(before), closes: right && !WORD.test(after) };
  if (marker === '~' && to - at !== 2) return { opens: false, closes: false };
  const inWord = to - at === 1 && /[\w)\]]/.test(before); // a star in a word is mostly none
  return { opens: left && !inWord, closes: right };
}

function flank(inner, outer) {
  if (/\s/.test(inner)) return false;
  return !PUNCTUATION.test(inner) || /\s/.test(outer) || PUNCTUATION.test(outer) || /[^\x00-\x7f]/.test(inner + outer);
}
