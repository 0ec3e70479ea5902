// Reading a response's body into a pane: as events and comments, or as the characters that came.

import { readEvents } from '../sse.js';

/** Show every event and comment line as it comes; undefined as the time of silence leaves that to the reader. */
export async function showEvents(body, pane) {
  for await (const item of readEvents(body, undefined, true)) {
    if ('comment' in item) pane.wire('comment', `: ${item.comment}`);
    else pane.event(item);
  }
}

/** Show every character as it comes. */
export async function showCharacters(body, pane) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  for (let step = await reader.read(); !step.done; step = await reader.read()) pane.characters(step.value);
}
