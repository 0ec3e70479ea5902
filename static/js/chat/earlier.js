// Earlier messages: of a long conversation a page has the end, and a link in front of it leads to more.

import { fetchPage } from '../page.js';
import { instead } from './tools.js';

/** Have the link bring some into the page, where the reader stays; if they do not come, it leads to a page that has them. */
export function bindEarlier(box, transcript, say) {
  const link = box.querySelector('a');
  let busy = false;
  link.addEventListener('click', instead(async () => {
    if (busy) return;
    busy = true;
    await bring(transcript).then(say, () => location.assign(link.href));
    busy = false;
    if (box.hidden) transcript.focus();
  }));
}

async function bring(transcript) {
  const page = await fetchPage(`/c/${transcript.conversation}?upto=${transcript.above}`);
  const fresh = page.querySelector('[data-transcript]');
  transcript.prepend([...fresh.querySelectorAll('[data-answer-id]')], fresh.dataset.above);
}
