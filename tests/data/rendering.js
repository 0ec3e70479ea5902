// Runs in the page, for tests: a rendering of its own, fed by hand. Gives what was shown after each piece.
async ({ pieces, end = true, keep = false }) => {
  const { Rendering } = await import('/static/js/markdown/rendering.js');
  const { loadKatex, loadMarkdown } = await import('/static/js/markdown/libraries.js');
  const { highlight } = await import('/static/js/markdown/highlighter.js');
  const { languageOf } = await import('/static/js/markdown/languages.js');
  const { prepareFormulas } = await import('/static/js/markdown/formulas.js');
  const named = pieces.join('').matchAll(/^ *(?:`{3,}|~{3,}) *(\w+)/gm);
  const languages = Array.from(named, ([, name]) => languageOf(name)).filter(Boolean);
  const coloured = () => Promise.all(languages.map((language) => highlight([''], language))); // one after the other
  await Promise.all([loadMarkdown(), loadKatex(), new Promise(prepareFormulas), coloured()]);
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
  await coloured();
  await new Promise((resolve) => setTimeout(resolve)); // what sets formulas and colours is there, and says so by now
  while (rendering.step(Infinity));
  const html = element.cloneNode(true).innerHTML;
  const raw = rendering.text;
  if (!keep) element.remove();
  return { shown, html, raw };
}
