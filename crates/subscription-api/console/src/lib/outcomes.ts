// What an attempt's outcome means, and what its owner can do.

import type { Attempt, Exchange } from '../api/types';

export interface Explained {
  /** A few words for a list, such as `500 Internal Server Error`. */
  label: string;
  /** One word for a narrow list, such as `500`. */
  short?: string;
  /** What happened, in a sentence. */
  what: string;
  /** What the owner of the endpoint can do; empty after a success. */
  advice: string;
}

const STATUS_NAMES: Record<number, string> = {
  301: 'Moved Permanently', 302: 'Found', 303: 'See Other', 307: 'Temporary Redirect', 308: 'Permanent Redirect',
  400: 'Bad Request', 401: 'Unauthorized', 403: 'Forbidden', 404: 'Not Found', 405: 'Method Not Allowed', 408: 'Request Timeout',
  409: 'Conflict', 410: 'Gone', 411: 'Length Required', 413: 'Content Too Large', 415: 'Unsupported Media Type', 422: 'Unprocessable Content',
  429: 'Too Many Requests', 500: 'Internal Server Error', 501: 'Not Implemented', 502: 'Bad Gateway', 503: 'Service Unavailable',
  504: 'Gateway Timeout', 520: 'Unknown Error', 521: 'Web Server Is Down', 522: 'Connection Timed Out', 524: 'A Timeout Occurred',
  200: 'OK', 201: 'Created', 202: 'Accepted', 204: 'No Content',
};

/** `500 Internal Server Error`, or `599` for an unusual status. */
export const statusText = (status: number): string => [status, STATUS_NAMES[status]].filter(Boolean).join(' ');

const FIXED: Record<Exclude<Attempt['outcome'], 'delivered' | 'http_status'>, Explained> = {
  timeout: {
    label: 'Timeout',
    what: 'The endpoint did not answer in time.',
    advice: 'Respond with a 2xx status within 15 seconds, and do slow work afterwards. A connection must be accepted within 5 seconds.',
  },
  dns: {
    label: 'DNS',
    what: "The host name of the endpoint could not be resolved.",
    advice: 'Check the DNS records of the host, and that the name in the endpoint is spelt correctly.',
  },
  connect: {
    label: 'Connection',
    what: 'No connection to the endpoint could be opened, or it was closed before a response arrived.',
    advice: 'Check that the server runs and listens on this port, and that a firewall lets the platform in.',
  },
  tls: {
    label: 'TLS',
    what: 'The TLS handshake failed.',
    advice: 'Check that the certificate is valid for the host and not expired, that intermediate certificates are served, and that TLS 1.2 or later is enabled.',
  },
  blocked: {
    label: 'Blocked',
    what: 'The host resolves to an address that the platform never calls, such as a private network.',
    advice: 'Use an endpoint with a public address.',
  },
  protocol: {
    label: 'Protocol',
    what: 'The response was not valid HTTP.',
    advice: 'Check that an HTTP server answers on this port, and not another protocol.',
  },
  auth: {
    label: 'Credentials',
    what: 'The credentials for the endpoint could not be obtained, so no request was sent.',
    advice: 'Check the settings of the authorization server.',
  },
};

export function explain({ outcome, statusCode, location }: Pick<Attempt, 'outcome' | 'statusCode'> & Pick<Partial<Exchange>, 'location'>): Explained {
  if (outcome === 'delivered') {
    return { label: statusCode ? statusText(statusCode) : 'Delivered', short: statusCode ? `${statusCode}` : 'Delivered', what: 'The endpoint accepted the event.', advice: '' };
  }
  if (outcome !== 'http_status') return FIXED[outcome];
  const status = statusCode ?? 0;
  return { label: statusText(status), short: `${status}`, what: `The endpoint answered ${statusText(status)}; only a 2xx status counts as delivered.`, advice: statusAdvice(status, location ?? null) };
}

function statusAdvice(status: number, location: string | null): string {
  if (status >= 300 && status < 400) {
    return `Redirects are never followed. ${location ? `Set the endpoint to ${location} if that is right.` : 'Set the endpoint to the final address.'}`;
  }
  if (status === 401 || status === 403) return 'Check whether the endpoint expects a login, or whether a firewall or bot protection refuses the request. Verify the signature with the secret of this webhook.';
  if (status === 404 || status === 405) return 'Check the path of the endpoint, and that it accepts POST.';
  if (status === 410) return 'The webhook was disabled at once, because 410 says that the endpoint is gone for good.';
  if (status === 413) return 'Raise the body limit of the server or of the proxy in front of it. Events have up to 256 KiB.';
  if (status === 429) return 'The endpoint asked for fewer requests. Lower "requests at a time" or set a rate in the settings of the webhook.';
  if (status === 502 || status === 503 || status === 504) return 'A proxy in front of the endpoint answered. Check whether the application behind it runs and answers in time.';
  if (status >= 500) return "Look into the endpoint's own log at this time.";
  return 'The response may say what the endpoint expected.';
}
