// A <details> as a menu: a choice, Esc and a press elsewhere close it.

import { isCancel } from './keys.js';

/** Make the buttons of a menu tell their values. */
export function bindMenu(menu, choose) {
  const close = () => (menu.open = false);
  menu.addEventListener('click', (event) => {
    const choice = event.target.closest('button');
    if (!choice) return;
    event.preventDefault(); // without scripts it is a form's button
    close();
    choose(choice.value);
  });
  menu.addEventListener('keydown', (event) => {
    if (!menu.open || !isCancel(event)) return;
    event.stopPropagation();
    close();
    menu.querySelector('summary').focus();
  });
  menu.addEventListener('focusout', ({ relatedTarget }) => relatedTarget && !menu.contains(relatedTarget) && close());
  addEventListener('pointerdown', ({ target }) => menu.open && !menu.contains(target) && close());
}
