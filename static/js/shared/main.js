// A conversation behind a link: its answers shown as Markdown.

import { Writer } from '../chat/writer.js';
import { Rendering } from '../markdown/rendering.js';

const writer = new Writer((change) => change());

for (const element of document.querySelectorAll('[data-answer], [data-reasoning-text]')) {
  new Rendering(element, (rendering) => writer.wake(rendering)).end();
}
