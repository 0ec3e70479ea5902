// The first words of an answer find code and fonts that have been used before: a sample is set and measured, and never seen.

import { loadMarkdown } from './libraries.js';
import { SAMPLE } from './sample.js';

const STEPS = [40, 200, Infinity]; // so many characters of the sample are there at a time

/** Set the sample in a copy of a template, a step at a time; `idle` calls back when there is nothing else to do. */
export async function warmUp(template, idle) {
  const { library, Flow, Grammar } = await loadMarkdown();
  const copy = template.content.firstElementChild.cloneNode(true);
  const [element, end] = [copy.querySelector('[data-answer]'), document.createElement('span')];
  element.classList.add('prose');
  element.append(end);
  const flow = new Flow(element, new Grammar(library), () => {});
  for (const to of STEPS) {
    await new Promise(idle);
    while (flow.advance(SAMPLE.slice(0, to), false, end));
  }
  await new Promise(idle);
  measure(copy);
}

/** Have it laid out once. Nobody sees it, hears it or gets into it: it goes before the next frame. */
function measure(copy) {
  copy.style.position = 'absolute';
  document.body.append(copy);
  copy.getBoundingClientRect();
  copy.remove();
}
