// Pure: what key presses mean, and what is wrong with a question.

import { codePoints } from '../answers/proof.js';

const COMPOSING = 229; // Safari ends a composition before it tells of the key that ended it
const SHORTCUTS = { '?': 'help', n: 'new', '/': 'search', i: 'write', c: 'copy', e: 'edit' };

/** Say if a key press sends: Enter without Shift, but never the Enter that ends a composition. */
export function isSend(event) {
  return event.key === 'Enter' && !event.shiftKey && !composes(event);
}

/** Say if a key press cancels: Esc, but not the one that ends a composition. */
export function isCancel(event) {
  return event.key === 'Escape' && !composes(event);
}

/** Say what a single key is short for; undefined in a field, and with Ctrl, Alt or ⌘, which belong to the browser. */
export function shortcutOf(event) {
  if (event.ctrlKey || event.altKey || event.metaKey || event.repeat || composes(event)) return undefined;
  if (event.target?.closest?.('input:not([type=checkbox]), textarea, select, [contenteditable]')) return undefined;
  return SHORTCUTS[event.key];
}

/** Say what is wrong with a question; empty if nothing is. */
export function mistake(prompt, limit, t) {
  if (!prompt.trim()) return t('chat.error.blank');
  const length = codePoints(prompt);
  return length > limit ? t('chat.error.long', { length, limit }) : '';
}

function composes({ isComposing, keyCode }) {
  return Boolean(isComposing) || keyCode === COMPOSING;
}
