// The button of a block of code copies it, and says so for a moment.

import { copyText } from '../copy.js';
import { word } from './parts.js';

const SAID_MS = 2000;

/** Serve all copy buttons in an element, those that come later too. */
export function bindCopying(element) {
  element.addEventListener('click', ({ target }) => {
    const button = target.closest('[data-copy]');
    if (button) copy(button, button.closest('[data-code]').querySelector('code'));
  });
}

async function copy(button, code) {
  if (await copyText(code.textContent)) say(button);
  else getSelection().selectAllChildren(code); // then a key copies it
}

function say(button) {
  const before = word('copy');
  button.textContent = word('copied');
  setTimeout(() => (button.textContent = before), SAID_MS);
}
