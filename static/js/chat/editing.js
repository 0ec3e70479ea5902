// A text that is changed in its own place.

import { isCancel, isSend } from './keys.js';
import { QuestionField } from './question_field.js';

/** Give a function that puts a field in the place of a text; it gives the new text, or null if it was left as it was. */
export function editor(template, limit, t) {
  return (place, text) =>
    new Promise((settle) => {
      const form = template.content.firstElementChild.cloneNode(true);
      const field = new QuestionField(form.elements.prompt, form.querySelector('[role=alert]'), limit, t);
      place.after(form);
      place.hidden = true;
      field.fill(text);
      bind(form, () => field.read(), (changed) => {
        form.remove();
        place.hidden = false;
        settle(changed);
      });
    });
}

/** Save by Enter or the button, cancel by Esc or the button. Esc stops no answer here. */
function bind(form, read, end) {
  const save = (event) => {
    event.preventDefault();
    const text = read();
    if (text !== null) end(text);
  };
  form.addEventListener('submit', save);
  form.querySelector('[data-cancel]').addEventListener('click', () => end(null));
  form.addEventListener('keydown', (event) => {
    if (event.target === form.elements.prompt && isSend(event)) save(event);
    if (!isCancel(event)) return;
    event.stopPropagation();
    end(null);
  });
}
