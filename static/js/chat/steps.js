// ‹ 2/3 ›: the server writes them; after a new version they are taken from the page that it would send now.

/** Show the versions of an exchange as the server knows them. Without them the exchange is as good as before. */
export async function showSteps(root, conversation, answer) {
  const fresh = await fetchPage(`/c/${conversation}?leaf=${answer}`).catch(() => null);
  const there = fresh?.querySelector(`[data-answer-id="${CSS.escape(answer)}"]`);
  if (!there || root.dataset.answerId !== answer) return;
  for (const steps of root.querySelectorAll('[data-steps]')) {
    steps.replaceWith(there.querySelector(`[data-steps="${steps.dataset.steps}"]`));
  }
}

async function fetchPage(address) {
  const response = await fetch(address, { headers: { Accept: 'text/html' }, cache: 'no-store' });
  return response.ok ? new DOMParser().parseFromString(await response.text(), 'text/html') : null;
}
