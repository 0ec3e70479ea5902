// Pure: the end of a Markdown text that is still being written, made fit to be shown. What cannot be told yet is hidden
// until it can; what is open is closed. So nothing that is shown is taken back later, and no marker comes and goes.

import { inlineEnd } from './inline_tail.js';

const CONTAINERS = /^(?:[ \t]*(?:>|[-*+](?=[ \t])|\d{1,9}[.)](?=[ \t])))*[ \t]*/;
const FENCE = /^(`{3,}(?=[^`]*$)|~{3,})/;
const MAYBE_MARKER = /^(?:[-*_+=#>~`|:\s]+|\d{1,9}[.)]?|\[[ xX]?\]?|[-*+]\s+\[[ xX]?\]?)\s*$/;
const MAYBE_DEFINITION = /^\[[^\]]{1,200}\]:.{0,2000}$/;
const MAYBE_DELIMITERS = /^\|?[\s:|-]*$/;
const DELIMITERS = /^\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/;
const BEGINS = /^(?:[ \t]*(?:#{1,6}\s|[-*+]\s|\d{1,9}[.)]\s)|\s*$|\s*\|)/;
const MATH_BLOCK = /^(?:\$\$|\\\[)/;

/** Give the part of a text that can be shown, with what is open in it closed. */
export function mend(text) {
  const lines = text.split('\n');
  const last = lines.length - 1;
  const fence = openFence(lines.slice(0, last));
  const line = bare(lines[last]);
  if (fence) return isClosing(line, fence) ? without(lines, last) : text;
  if (headerWaits(lines, last)) return without(lines, last - 1);
  if (!lines[last].trim()) return goesOn(lines[last - 1]) ? mendInline(lines.slice(0, last), last - 1) : text;
  if (isUndecided(line, lines, last)) return without(lines, last);
  return mendInline(lines, last);
}

/** Give the fence that is open behind these lines: its marker, or nothing. */
export function openFence(lines) {
  let open = '';
  for (const line of lines) {
    const rest = bare(line);
    const [marker] = FENCE.exec(rest) ?? [''];
    if (!open) open = marker;
    else if (marker.startsWith(open) && rest.trim() === marker) open = '';
  }
  return open;
}

function bare(line) {
  return line.slice(CONTAINERS.exec(line)[0].length);
}

/** Could this line, in a fence, become the one that closes it? */
function isClosing(line, fence) {
  return line !== '' && [...line.trimEnd()].every((char) => char === fence[0]);
}

function isUndecided(line, lines, last) {
  if (MAYBE_MARKER.test(line) || FENCE.test(line) || line === '') return true;
  if (MAYBE_DEFINITION.test(line) && line === lines[last].trimStart()) return true;
  return line[0] === '|' && !inTable(lines, last);
}

/** Is the line above the head of a table, if this one goes on as it begins? */
function headerWaits(lines, last) {
  if (last < 1 || bare(lines[last - 1])[0] !== '|') return false;
  return MAYBE_DELIMITERS.test(bare(lines[last])) && !inTable(lines, last);
}

function inTable(lines, last) {
  for (let at = last - 1; at > 0 && bare(lines[at])[0] === '|'; at -= 1) {
    if (DELIMITERS.test(bare(lines[at]))) return true;
  }
  return false;
}

/** Can a paragraph that has come to the end of this line go on? */
function goesOn(line = '') {
  return line.trim() !== '' && !/^(?:#{1,6}\s|\||`{3}|~{3})/.test(bare(line));
}

function mendInline(lines, last) {
  let first = last;
  while (first > 0 && !BEGINS.test(lines[first]) && goesOn(lines[first - 1])) first -= 1;
  if (isIndentedCode(lines, first)) return lines.join('\n');
  const before = lines.slice(0, first).map((line) => `${line}\n`).join('');
  const block = lines.slice(first).join('\n');
  const start = CONTAINERS.exec(block)[0].length;
  if (waitsForMath(block.slice(start))) return before.replace(/\n$/, '');
  const cell = inTable(lines, last) ? block.lastIndexOf('|') + 1 : start;
  return before + block.slice(0, cell) + inlineEnd(block.slice(cell));
}

function isIndentedCode(lines, first) {
  return /^(?: {4}|\t)/.test(lines[first]) && !lines.slice(0, first).some((line) => /^ {0,3}(?:[-*+]|\d{1,9}[.)])\s/.test(line));
}

/** Is this display math without its end? */
function waitsForMath(block) {
  if (!MATH_BLOCK.test(block) || block.length > 4000) return false;
  return !block.includes(block[0] === '$' ? '$$' : '\\]', 2);
}

function without(lines, from) {
  return lines.slice(0, from).join('\n');
}
