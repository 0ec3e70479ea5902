// One answer, from the request to its end.

import { readEvents } from '../sse.js';
import { interpret } from './interpret.js';
import { ask, Refusal } from './request.js';
import { isWhole } from './whole.js';

/**
 * Ask and follow the answer; `show.text` and `show.phase` are told what comes. Never throws.
 * Gives how it ended: {state, …what `done` carries, whole} or {state, refusal}.
 */
export async function receive(question, signal, show) {
  let text = '';
  try {
    show.phase('connecting');
    for await (const event of readEvents(await ask(question, signal))) {
      const { content, phase, done, ...rest } = interpret(event);
      if (done) return { ...done, whole: await isWhole(text, done) };
      if (phase) show.phase(phase);
      if (content) text += content;
      if (content || rest.reasoning) show.text({ content, ...rest });
    }
    return { state: text ? 'interrupted' : 'failed' };
  } catch (error) {
    return endAfter(error, text, signal);
  }
}

function endAfter(error, text, signal) {
  if (signal.aborted) return { state: 'stopped' };
  const refusal = error instanceof Refusal ? error : new Refusal(0);
  return { state: text ? 'interrupted' : 'failed', refusal };
}
