// Pure: how long ago something changed, in the reader's own days.

const DAY_MS = 86_400_000;

/** Say in which group of the list a time stands. */
export function ageOf(changed, now = new Date()) {
  const days = daysBetween(new Date(changed), now);
  if (days < 1) return 'today';
  if (days < 2) return 'yesterday';
  return days <= 7 ? 'week' : 'earlier';
}

/** Count midnights, whatever the clocks did in between: the days' dates are compared as if all were of 24 hours. */
function daysBetween(then, now) {
  const [from, to] = [then, now].map((time) => Date.UTC(time.getFullYear(), time.getMonth(), time.getDate()));
  return Math.round((to - from) / DAY_MS);
}

/** Write a time for a reader of a language. */
export function whenWords(changed, lang) {
  return new Intl.DateTimeFormat(lang, { dateStyle: 'medium', timeStyle: 'short' }).format(new Date(changed));
}
