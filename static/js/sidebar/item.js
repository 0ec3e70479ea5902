// A conversation in the list.

import { whenWords } from './ages.js';

const LANG = document.documentElement.lang;

/** Read what the server wrote of a conversation into the page. */
export function readItem(root) {
  const { item: id, changed, shared } = root.dataset;
  const title = linkOf(root).textContent;
  return { id, title, changed, shared: shared || null, pinned: Boolean(root.closest('[data-group="pinned"]')) };
}

/** Write a conversation into its place in the list; `here`: it is the one that is open. */
export function writeItem(root, { id, title, changed }, here, t) {
  const link = linkOf(root);
  const words = title || t('list.say.untitled');
  root.dataset.item = id;
  link.href = `/c/${id}`;
  link.title = `${words}\n${whenWords(changed, LANG)}`;
  if (link.textContent !== words) link.textContent = words;
  if (here) link.setAttribute('aria-current', 'page');
  else link.removeAttribute('aria-current');
  buttonOf(root).setAttribute('aria-label', t('list.say.menu', { title: words }));
  buttonOf(root).hidden = false;
}

export function linkOf(root) {
  return root.querySelector('a');
}

export function buttonOf(root) {
  return root.querySelector('button');
}
