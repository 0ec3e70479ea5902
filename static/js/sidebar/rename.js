// Renaming in place: Enter and leaving the field keep the new title, Escape keeps the old one.

import { isCancel, isSend } from '../chat/keys.js';
import { linkOf } from './item.js';

/** Ask for another title in the place of the link; gives it, or the old one. */
export function askForTitle(item, title, template) {
  const form = template.content.firstElementChild.cloneNode(true);
  const link = linkOf(item);
  link.hidden = true;
  link.after(form);
  return entered(form, form.elements.title, title).finally(() => {
    const held = form.contains(document.activeElement);
    form.remove();
    link.hidden = false;
    if (held) link.focus();
  });
}

function entered(form, field, title) {
  field.value = title;
  field.select();
  field.focus();
  return new Promise((resolve) => {
    const keep = () => resolve(field.value.trim() || title);
    form.addEventListener('submit', (event) => event.preventDefault());
    field.addEventListener('blur', keep);
    field.addEventListener('keydown', (event) => {
      if (isSend(event)) keep();
      if (isEscape(event)) resolve(title);
    });
  });
}

/** Take an Escape for this field alone: it stops no answer and closes no drawer. */
function isEscape(event) {
  if (!isCancel(event)) return false;
  event.preventDefault();
  event.stopPropagation();
  return true;
}
