// Copying a line; where the page may not write to the clipboard, the line is selected instead.

/** Make a button copy the text of an element and say so. */
export function bindCopy(button, source, said, say) {
  button.addEventListener('click', async () => {
    said.textContent = say((await copied(source.textContent)) ? 'playground.say.copied' : selected(source));
  });
}

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

function selected(element) {
  getSelection().selectAllChildren(element);
  return 'playground.say.selected';
}
