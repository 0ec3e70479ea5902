// A request that has to reach the server.

import { Line } from './line.js';

/** Make a request until it gets a response or a final refusal, which is thrown; nothing if the signal ends it. */
export async function insist(request, signal) {
  const line = new Line(signal);
  try {
    while (!line.closed) {
      line.open();
      const [result, loss] = await request(line).then((value) => [value], (error) => [undefined, error]);
      if (!loss) return result;
      if (loss.final) throw loss;
      await line.pause(line.lost(loss));
    }
  } finally {
    line.close();
  }
}
