// An HTTPS endpoint that answers each path as the test says.

import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { join } from 'node:path';
import { CERTIFICATES } from './settings.mjs';

export async function startReceiver() {
  const read = (name) => readFileSync(join(CERTIFICATES, name));
  const answers = new Map();
  const received = new Map();
  const server = createServer({ cert: read('cert.pem'), key: read('key.pem') }, (request, response) => {
    const parts = [];
    request.on('data', (part) => parts.push(part));
    request.on('end', () => {
      const body = Buffer.concat(parts).toString();
      received.set(request.url, [...(received.get(request.url) ?? []), JSON.parse(body)]);
      const { status, text } = answers.get(request.url) ?? { status: 200, text: 'thanks' };
      response.writeHead(status, { 'content-type': 'text/plain' }).end(text);
    });
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  return {
    url: (path) => `https://localhost:${port}${path}`,
    /** Sets the answer of a path from now on. */
    answer: (path, status, text = '') => answers.set(path, { status, text }),
    /** Returns the envelopes that a path received. */
    at: (path) => received.get(path) ?? [],
    stop: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}
