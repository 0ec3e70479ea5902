// How files get to a form: chosen, dropped anywhere into the page, pasted.

/** Give the files that come, whichever way. */
export function gather(form, take) {
  const field = form.querySelector('[data-attach]');
  field.addEventListener('change', () => {
    const files = [...field.files];
    field.value = ''; // they are sent one by one, and the same may be chosen again
    take(files);
  });
  form.addEventListener('paste', (event) => {
    const files = pasted(event.clipboardData);
    if (!files.length) return;
    event.preventDefault();
    take(files);
  });
  dropped(form, take);
}

/** Say which files were pasted: what has a text too, as cells of a spreadsheet, is meant as text. */
export function pasted({ files, types }) {
  return types.includes('text/plain') ? [] : [...files];
}

function dropped(form, take) {
  const mark = (over) => (form.dataset.over = String(over));
  addEventListener('dragover', (event) => {
    if (!event.dataTransfer.types.includes('Files')) return;
    event.preventDefault();
    mark(true);
  });
  addEventListener('dragleave', ({ relatedTarget }) => relatedTarget || mark(false));
  addEventListener('drop', (event) => {
    mark(false);
    if (!event.dataTransfer.files.length) return;
    event.preventDefault();
    take([...event.dataTransfer.files]);
  });
}
