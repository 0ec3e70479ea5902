// The address of a conversation: what a reload, a second tab and a bookmark open.

/** Show that of its newest branch in the place of the present one, so that Back leads where it led before. */
export function showAddress(conversation) {
  const path = `/c/${conversation}`;
  if (conversation && location.pathname + location.search + location.hash !== path) history.replaceState(null, '', path);
}
