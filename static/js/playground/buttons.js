// The buttons of a panel: which can be pressed follows the state that its pane tells.

/** Bind buttons to what they do, by their names. */
export function bindButtons(root, actions) {
  for (const button of root.querySelectorAll('[data-action]')) {
    const press = actions[button.dataset.action];
    // aria-disabled, not disabled: a button that has the focus keeps it.
    button.addEventListener('click', () => button.ariaDisabled !== 'true' && press());
  }
  root.addEventListener('statechange', ({ detail }) => enable(root, detail.running));
}

function enable(root, running) {
  for (const button of root.querySelectorAll('[data-while]')) {
    button.ariaDisabled = String((button.dataset.while === 'running') !== running);
  }
}
