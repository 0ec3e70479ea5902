// Clean nodes made fit for the page: code with its button, tables that scroll, links that say where they lead.

import { CodeBlock } from './code_block.js';
import { part, word } from './parts.js';

const REL = 'noopener noreferrer nofollow ugc';

/** Dress a fragment; gives it. */
export function dress(fragment) {
  for (const code of fragment.querySelectorAll('pre > code')) dressCode(code);
  for (const table of fragment.querySelectorAll('table')) dressTable(table);
  for (const link of fragment.querySelectorAll('a[href]')) dressLink(link);
  for (const box of fragment.querySelectorAll('input')) dressTask(box);
  return fragment;
}

function dressCode(code) {
  code.parentElement.replaceWith(new CodeBlock(code.dataset.language ?? '', code.textContent).figure);
}

function dressTask(box) {
  box.ariaLabel = word(box.checked ? 'done' : 'todo');
  box.closest('li').className = 'task';
}

function dressTable(table) {
  const region = part('table');
  table.replaceWith(region);
  region.append(table);
}

/** The host stands beside a link whose own words do not say it. */
function dressLink(link) {
  Object.assign(link, { rel: REL, target: '_blank', title: link.href, referrerPolicy: 'no-referrer' });
  const host = link.host || link.pathname;
  if ('image' in link.dataset) link.dataset.image = word('image');
  if (!link.textContent.includes(host)) link.dataset.host = host;
}
