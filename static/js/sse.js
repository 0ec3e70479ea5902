// Server-Sent Events over fetch: what EventSource cannot do (a POST, a header, an end when one wants it).

const SILENCE_MS = 40_000; // a live server says something every 15 s
const MAX_EVENT_CHARS = 4_000_000;

/**
 * Yield the events of a response body as {event, data, id}; `event` is undefined for a message.
 * With `comments`, comment lines come between them as {comment}. Ends with the body, or when it was silent for too
 * long. Leaving the loop closes the connection. The parser comes with the first body: a page is usable before.
 */
export async function* readEvents(body, silenceMs = SILENCE_MS, comments = false) {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  const events = [];
  try {
    const { createParser } = await import('../vendor/eventsource-parser/index.js');
    const parser = createParser({
      maxBufferSize: MAX_EVENT_CHARS,
      onEvent: (event) => events.push(event),
      onComment: (comment) => comments && events.push({ comment }),
    });
    for (;;) {
      const { done, value } = await readWithin(reader, silenceMs);
      if (done) return;
      parser.feed(decoder.decode(value, { stream: true }));
      yield* events.splice(0);
    }
  } finally {
    reader.cancel().catch(() => {}); // an aborted body is closed already and rejects
  }
}

/** Read once; after `ms` without a byte the body is cancelled, so that the read ends as if the body had ended. */
async function readWithin(reader, ms) {
  const timer = setTimeout(() => reader.cancel().catch(() => {}), ms);
  try {
    return await reader.read();
  } finally {
    clearTimeout(timer);
  }
}

/** Say if a response is an event stream. */
export function isEventStream(response) {
  return response.ok && /^text\/event-stream\b/i.test(response.headers.get('Content-Type') ?? '');
}
