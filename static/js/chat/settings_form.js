// The fields of a conversation's settings, and how two hands in them are brought together.

/** Read them; what is blank is null, or no text. */
export function read({ elements }) {
  const number = (field) => (field.value === '' ? null : Number(field.value));
  const system = elements.system.value.trim() && elements.system.value;
  return { system, temperature: number(elements.temperature), max_tokens: number(elements.max_tokens) };
}

/** Write some of them. */
export function write({ elements }, values) {
  for (const [name, value] of Object.entries(values)) elements[name].value = value ?? '';
}

/** Take them out of whatever holds them beside other things. */
export function settingsIn({ system, temperature, max_tokens }) {
  return { system, temperature, max_tokens };
}

/** Say if any of them is set. */
export function isSet({ system, temperature, max_tokens }) {
  return Boolean(system) || temperature !== null || max_tokens !== null;
}

/** Give those of `values` that are not as they were. */
export function changesOf(values, before) {
  return Object.fromEntries(Object.entries(values).filter(([name, value]) => value !== before[name]));
}

/**
 * Bring what others set meanwhile together with what stands in the fields: gives what is to be `written` into them, since
 * nobody has touched it here, and whether something was changed on both sides (`conflict`).
 */
export function merged(fields, before, now) {
  const mine = changesOf(fields, before);
  const theirs = Object.entries(changesOf(now, before)).filter(([name, value]) => value !== fields[name]);
  const written = theirs.filter(([name]) => !(name in mine));
  return { written: Object.fromEntries(written), conflict: written.length < theirs.length };
}
