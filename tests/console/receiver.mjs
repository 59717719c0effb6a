// An HTTPS endpoint that answers each path as the test says.

import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { join } from 'node:path';
import { CERTIFICATES } from './settings.mjs';

const THANKS = { status: 200, text: 'thanks' };

export async function startReceiver() {
  const read = (name) => readFileSync(join(CERTIFICATES, name));
  const answers = new Map();
  const next = new Map();
  const received = new Map();
  const held = new Map();
  const respond = (path, response) => {
    const { status, text } = next.get(path)?.shift() ?? answers.get(path) ?? THANKS;
    response.writeHead(status, { 'content-type': 'text/plain' }).end(text);
  };
  const server = createServer({ cert: read('cert.pem'), key: read('key.pem') }, (request, response) => {
    const parts = [];
    request.on('data', (part) => parts.push(part));
    request.on('end', () => {
      const { url: path, headers } = request;
      received.set(path, [...(received.get(path) ?? []), { headers, body: Buffer.concat(parts).toString() }]);
      if (held.has(path)) held.get(path).push(response);
      else respond(path, response);
    });
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  const requests = (path) => received.get(path) ?? [];
  return {
    url: (path) => `https://localhost:${port}${path}`,
    /** Sets the answer of a path from now on. */
    answer: (path, status, text = '') => answers.set(path, { status, text }),
    /** Sets the answers to the next requests of a path, before the usual one. */
    answerNext: (path, ...given) => next.set(path, given),
    /** Keeps the requests of a path without an answer until they are released. */
    hold: (path) => held.set(path, []),
    /** Answers the oldest request that is held. Returns whether there was one. */
    releaseOne: (path) => {
      const response = held.get(path)?.shift();
      if (response) respond(path, response);
      return response !== undefined;
    },
    /** Answers the requests of a path again, those that were held included. */
    release: (path) => {
      const responses = held.get(path) ?? [];
      held.delete(path);
      for (const response of responses) respond(path, response);
    },
    /** Returns the requests that a path received, with headers and the text of the body. */
    requests,
    /** Returns the envelopes that a path received. */
    at: (path) => requests(path).map(({ body }) => JSON.parse(body)),
    stop: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}
