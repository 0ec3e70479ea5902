// Pure: what an event of an answer says.

/** Take an event apart: {content}, {reasoning}, {phase} or {done}; nothing for events that the page has no use for. */
export function interpret({ event = 'message', data }) {
  const value = parsed(data);
  if (event === 'message') return { content: text(value.content), reasoning: text(value.reasoning) };
  if (event === 'phase') return { phase: text(value.phase) };
  return event === 'done' ? { done: { ...value, state: text(value.state) || 'interrupted' } } : {};
}

function text(value) {
  return typeof value === 'string' ? value : '';
}

function parsed(data) {
  try {
    return Object(JSON.parse(data));
  } catch {
    return {};
  }
}
