// What was typed and chosen outlives a reload of this tab.

/** Keep the value of a field in the session's storage, and put back what was kept. */
export function keepDraft(field, key) {
  const kept = attempt(() => sessionStorage.getItem(key));
  if (kept) choose(field, kept);
  field.addEventListener('input', () => attempt(() => sessionStorage.setItem(key, field.value)));
}

/** Set a value; a choice that is no longer offered is left alone. */
function choose(field, value) {
  const before = field.value;
  field.value = value;
  if (field.value !== value) field.value = before;
}

/** Storage may be forbidden by the browser; then there are no drafts. */
function attempt(use) {
  try {
    return use();
  } catch {
    return null;
  }
}
