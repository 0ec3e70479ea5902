// Node's own http on both sides: the bytes are piped through.
'use strict';
const http = require('node:http');

const agent = new http.Agent({ keepAlive: true });

http.createServer((request, response) => {
  const asked = http.request(process.env.UPSTREAM + request.url, {
    method: request.method,
    headers: { 'Content-Type': 'application/json', 'Content-Length': request.headers['content-length'] },
    agent,
  }, (answer) => {
    response.writeHead(answer.statusCode, { 'Content-Type': answer.headers['content-type'] });
    answer.pipe(response);
  });
  asked.on('error', () => response.destroy());
  response.on('close', () => asked.destroy());
  request.pipe(asked);
}).listen(Number(process.env.PORT), '127.0.0.1', 4096);
