// ‹ 2/3 ›: the server writes them; after a new version they are taken from the page that it would send now.

import { fetchPage } from '../page.js';

/** Show the versions of an exchange as the server knows them. Without them the exchange is as good as before. */
export async function showSteps(root, conversation, answer) {
  const fresh = await fetchPage(`/c/${conversation}?leaf=${answer}`).catch(() => null);
  const there = fresh?.querySelector(`[data-answer-id="${CSS.escape(answer)}"]`);
  if (!there || root.dataset.answerId !== answer) return;
  renewSteps(root, there);
}

/** Show the versions that a page of the server's has of an exchange; what is the same already is left alone. */
export function renewSteps(root, there) {
  for (const steps of root.querySelectorAll('[data-steps]')) {
    const now = there.querySelector(`[data-steps="${steps.dataset.steps}"]`);
    if (!steps.isEqualNode(now)) steps.replaceWith(now);
  }
}
