// Runs in the page, for tests: a rendering of its own, fed by hand. Gives what was shown after each piece.
async ({ pieces, end = true, keep = false }) => {
  const { Rendering } = await import('/static/js/markdown/rendering.js');
  const { loadKatex, loadMarkdown } = await import('/static/js/markdown/libraries.js');
  const { prepareFormulas } = await import('/static/js/markdown/formulas.js');
  await Promise.all([loadMarkdown(), loadKatex(), new Promise(prepareFormulas)]);
  const element = document.createElement('div');
  element.className = 'message__text';
  document.querySelector('[data-transcript]').append(element);
  let ready;
  const begun = new Promise((resolve) => (ready = resolve));
  const rendering = new Rendering(element, (self) => ready(requestAnimationFrame(() => self.step(Infinity))));
  await begun;
  await Promise.resolve();
  const shown = [];
  for (const piece of pieces) {
    rendering.append(piece);
    while (rendering.step(Infinity));
    shown.push(element.textContent);
  }
  if (end) rendering.end();
  while (rendering.step(Infinity));
  shown.push(element.textContent);
  const html = element.cloneNode(true).innerHTML;
  const raw = rendering.text;
  if (!keep) element.remove();
  return { shown, html, raw };
}
