// Pure: which key sends, and what is wrong with a question.

import { codePoints } from '../answers/proof.js';

const COMPOSING = 229; // Safari ends a composition before it tells of the key that ended it

/** Say if a key press sends: Enter without Shift, but never the Enter that ends a composition. */
export function isSend({ key, shiftKey, isComposing, keyCode }) {
  return key === 'Enter' && !shiftKey && !isComposing && keyCode !== COMPOSING;
}

/** Say what is wrong with a question; empty if nothing is. */
export function mistake(prompt, limit, t) {
  if (!prompt.trim()) return t('chat.error.blank');
  const length = codePoints(prompt);
  return length > limit ? t('chat.error.long', { length, limit }) : '';
}
