// Sends requests to the API with the session's token, which is never part of a URL.

import { endSession, session } from '../session';
import { Problem, toProblem, toResponseProblem } from './problem';

/** Timeout of a request. It is longer than the 30 s after which the API itself gives up. */
const REQUEST_TIMEOUT_MS = 35_000;
/** Maximum number of tries of a request that the API cannot serve at the moment. */
const MAX_TRIES = 3;
const MAX_RETRY_DELAY_SECONDS = 5;

export interface Options {
  signal?: AbortSignal | undefined;
  body?: unknown;
  /** Token to use instead of the session's. */
  token?: string;
}

export type Query = Record<string, string | number | null | undefined>;

/** Builds a path with escaped parameters: path`/v1/${brand}/webhooks`. */
export function path(parts: TemplateStringsArray, ...values: string[]): string {
  return parts.reduce((text, part, n) => text + encodeURIComponent(values[n - 1] ?? '') + part);
}

export function withQuery(path: string, query: Query): string {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== '');
  const text = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  return text ? `${path}?${text}` : path;
}

let writes = 0;
/** The number of requests of this tab that may have changed something. */
export const writeCount = (): number => writes;

async function sendOnce(method: string, path: string, { signal, body, token }: Options): Promise<Response> {
  if (method !== 'GET') writes += 1;
  const timeout = AbortSignal.timeout(REQUEST_TIMEOUT_MS);
  const headers: Record<string, string> = { authorization: `Bearer ${token ?? session.value?.token ?? ''}` };
  if (body !== undefined) headers['content-type'] = 'application/json';
  try {
    return await fetch(path, {
      method,
      headers,
      body: body === undefined ? null : typeof body === 'string' ? body : JSON.stringify(body),
      signal: signal ? anyOf(signal, timeout) : timeout,
      cache: 'no-store',
      credentials: 'omit',
      redirect: 'error',
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    if (timeout.aborted) throw new Problem(0, `No response within ${REQUEST_TIMEOUT_MS / 1000} seconds.`);
    throw new Problem(0, 'The API does not answer.');
  }
}

function anyOf(first: AbortSignal, second: AbortSignal): AbortSignal {
  if ('any' in AbortSignal) return AbortSignal.any([first, second]);
  const both = new AbortController();
  for (const signal of [first, second]) signal.addEventListener('abort', () => both.abort(), { once: true });
  return both.signal;
}

const pause = (seconds: number) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

/** Sends a request and returns the response body as text. */
export async function send(method: string, path: string, options: Options = {}): Promise<string> {
  for (let attempt = 1; ; attempt += 1) {
    const response = await sendOnce(method, path, options);
    if (response.ok) return response.text();
    const problem = await toResponseProblem(response);
    // At sign-in there is no session yet that could end.
    if (problem.status === 401 && options.token === undefined) endSession('Your token is no longer valid.');
    const waits = problem.status === 429 || (problem.status === 503 && method === 'GET');
    if (!waits || attempt === MAX_TRIES) throw problem;
    await pause(Math.min(problem.retryAfterSeconds ?? 1, MAX_RETRY_DELAY_SECONDS));
    if (options.signal?.aborted) throw toProblem(options.signal.reason);
  }
}

/** Sends a request and parses the response body as JSON. */
export async function call<T>(method: string, path: string, options: Options = {}): Promise<T> {
  const text = await send(method, path, options);
  return (text ? JSON.parse(text) : null) as T;
}
