// Commands to copy: a request as curl sends it, and a delivery to the reader's own machine.

import type { Exchange, Header } from '../api/types';

/** A request of which everything was recorded, so that it can be repeated. */
export interface WholeRequest {
  method: string;
  url: string;
  headers: readonly Header[];
  body: string;
}

/** Returns the request if it can be repeated. */
export function wholeRequest(request: Exchange['request']): WholeRequest | null {
  if (!request || request.url === null || request.headers === null || request.body === null) return null;
  return { method: request.method, url: request.url, headers: request.headers, body: request.body };
}

const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;
const HIDDEN = '(hidden)';
/** Headers that curl derives from the URL and the body, and pseudo-headers of HTTP/2. */
const DERIVED = /^(host|content-length|connection|:.*)$/i;

/** Whether values have to be filled in before the command works. */
export const hasHidden = ({ headers }: { headers: readonly Header[] }): boolean => headers.some(([, value]) => value === HIDDEN);

/** The request as a curl command. It repeats the bytes of the body, so that the signature still fits. */
export function curlLine({ method, url, headers, body }: WholeRequest): string {
  const lines = [
    `curl -X ${method} ${quoted(url)}`,
    ...headers.filter(([name]) => !DERIVED.test(name)).map(([name, value]) => `-H ${quoted(`${name}: ${value}`)}`),
    // An @ at the start would name a file.
    `--data-raw ${quoted(body)}`,
  ];
  return lines.join(' \\\n  ');
}

/** The command that sends one event, signed anew, to a server of the reader's own. */
export const forwardLine = ({ origin, brand, webhook, event, target }: { origin: string; brand: string; webhook: string; event: string; target: string }): string =>
  [`postrider listen --url ${origin} --brand ${brand}`, `--webhook ${webhook}`, `--event ${event}`, `--forward-to ${/^[\w:/.-]+$/.test(target) ? target : quoted(target)}`].join(' \\\n  ');
