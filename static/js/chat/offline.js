// A page without a network says so, asked or not.

/** Keep a sentence in an element for as long as there is no network. */
export function bindOffline(element, words) {
  const show = () => (element.textContent = navigator.onLine ? '' : words);
  addEventListener('online', show);
  addEventListener('offline', show);
  show();
}
