// Pure: what an event means for the text of the answer.

/** Give the text after an event: most append, a `reset` replaces. Raw data is text itself, unless it is the stop word. */
export function textAfter(text, { event, data }, { raw, last }) {
  if (raw) return event !== 'message' || data === last ? text : text + data;
  const value = parsed(data);
  return event === 'reset' ? contentOf(value) : text + contentOf(value);
}

/** Say if this event is the one that ends the answer. */
export function isLast({ event, data }, { raw, last }) {
  return last !== '' && (raw ? data : event) === last;
}

function contentOf(value) {
  if (typeof value === 'string') return value;
  const found = value?.content ?? value?.choices?.[0]?.delta?.content;
  return typeof found === 'string' ? found : '';
}

function parsed(data) {
  try {
    return JSON.parse(data);
  } catch {
    return null;
  }
}
