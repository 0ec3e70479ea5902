// A real server of answers that keeps to a script: `/<script>@<run>/api/answers…`.

import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';

import { KEPT, SCRIPTS, STOPPED } from './answer_scripts.js';

export class ScriptedServer {
  #runs = new Map();
  #server = createServer((request, response) => this.#handle(request, response));

  async start() {
    await once(this.#server.listen(0, '127.0.0.1'), 'listening');
  }

  close() {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  /** Begin a script anew; gives the base under which it runs. */
  begin(script) {
    const name = `${script}@${randomUUID()}`;
    this.#runs.set(name, { lines: [...SCRIPTS[script]], requests: [], script });
    return `http://127.0.0.1:${this.#server.address().port}/${name}`;
  }

  /** What was asked under a base so far: {method, verb, headers, body, at}. */
  requestsTo(base) {
    return this.#runs.get(base.split('/').at(-1)).requests;
  }

  async #handle(request, response) {
    const [, name, , , , verb] = request.url.split('/');
    const { method, headers } = request;
    const run = this.#runs.get(name);
    let body = '';
    for await (const piece of request) body += piece;
    run.requests.push({ method, verb, headers, body: body && JSON.parse(body), at: performance.now() });
    if (verb === 'events' || (method === 'POST' && !verb)) this.#stream(run, headers, response);
    else this.#tell(run, verb, response);
  }

  #stream(run, headers, response) {
    const line = run.lines.length > 1 ? run.lines.shift() : run.lines[0];
    run.response = response;
    line(response, Number(headers['last-event-id']?.split(':')[1] ?? 0));
  }

  #tell(run, verb, response) {
    const first = run.requests.filter((request) => request.verb === verb).length === 1;
    if (run.script === 'cut-while-healing' && first) return response.destroy();
    if (verb === 'stop') run.response.end(STOPPED);
    response.writeHead(200, { 'Content-Type': 'application/json' });
    response.end(JSON.stringify(verb ? { state: verb === 'stop' ? 'stopped' : 'running' } : KEPT));
  }
}
