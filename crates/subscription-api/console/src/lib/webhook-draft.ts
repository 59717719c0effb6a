// The draft of a webhook in the form: its fields, their validation, and the request bodies.

import type { FieldError } from '../api/problem';
import type { Webhook, WebhookEdit } from '../api/types';

/** Stands for the value of a stored header, which the API does not return. */
const HIDDEN = '(hidden)';

export interface Header {
  key: number;
  name: string;
  value: string;
  /** The name of the stored header whose value stays unless another one is entered; empty for a new header. */
  stored: string;
}

export interface Draft {
  endpoint: string;
  description: string;
  events: string[];
  headers: Header[];
  maxConcurrency: string;
  ratePerSecond: string;
}

let headers = 0;
export const header = (stored = ''): Header => ({ key: (headers += 1), name: stored, value: '', stored });

export const toDraft = (webhook: Webhook | null): Draft => ({
  endpoint: webhook?.endpoint ?? '',
  description: webhook?.description ?? '',
  events: webhook?.events ?? [],
  headers: Object.keys(webhook?.headers ?? {}).map((name) => header(name)),
  maxConcurrency: String(webhook?.maxConcurrency ?? 10),
  ratePerSecond: webhook?.ratePerSecond == null ? '' : String(webhook.ratePerSecond),
});

export type Field = 'endpoint' | 'description' | 'events' | 'headers' | 'maxConcurrency' | 'ratePerSecond';
export type DraftErrors = Partial<Record<Field, string[]>>;

function checkEndpoint(text: string): string | null {
  if (!text) return 'Enter the URL that receives the events, such as https://example.com/webhooks.';
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    return 'This is not a complete URL. It must begin with https://.';
  }
  if (url.protocol !== 'https:') return 'It must begin with https://.';
  if (url.username || url.password) return 'It must not contain a user name or password.';
  if (url.hash) return 'It must not contain a fragment (#…).';
  return null;
}

function checkInteger(text: string, max: number): string | null {
  return /^\d+$/.test(text) && Number(text) >= 1 && Number(text) <= max ? null : `Enter a whole number from 1 to ${max}.`;
}

function checkHeaders(all: readonly Header[]): string | null {
  if (all.some(({ name, value }) => !name.trim() && value)) return 'Each header needs a name.';
  const renamed = all.find(({ name, value, stored }) => stored && name.trim() && name.trim() !== stored && !value);
  return renamed ? `Enter the value of ${renamed.name.trim()}, because the value of ${renamed.stored} is hidden.` : null;
}

/** Validates a draft in the browser. The API has the last word. */
export function validateDraft(draft: Draft): DraftErrors {
  const found: [Field, string | null][] = [
    ['endpoint', checkEndpoint(draft.endpoint.trim())],
    ['events', draft.events.length > 0 ? null : 'Select at least one event type or group.'],
    ['headers', checkHeaders(draft.headers)],
    ['maxConcurrency', checkInteger(draft.maxConcurrency.trim(), 100)],
    ['ratePerSecond', draft.ratePerSecond.trim() ? checkInteger(draft.ratePerSecond.trim(), 10_000) : null],
  ];
  return Object.fromEntries(found.flatMap(([field, error]) => (error ? [[field, [error]]] : [])));
}

/** Groups the field errors of the API by field: /headers/X-A belongs to `headers`. */
export function errorsByField(errors: readonly FieldError[]): Record<string, string[]> {
  const found: Record<string, string[]> = {};
  for (const { pointer, detail } of errors) {
    const [, field = ''] = pointer.split('/');
    (found[field] ??= []).push(detail);
  }
  return found;
}

const headersOf = (draft: Draft): Record<string, string> =>
  Object.fromEntries(
    draft.headers
      .filter(({ name }) => name.trim())
      .map(({ name, value, stored }) => [name.trim(), stored && !value ? HIDDEN : value]),
  );

/** Returns the body that creates the webhook. */
export function toCreateBody(draft: Draft): WebhookEdit {
  return {
    endpoint: draft.endpoint.trim(),
    events: draft.events,
    ...(draft.description.trim() ? { description: draft.description.trim() } : {}),
    headers: headersOf(draft),
    maxConcurrency: Number(draft.maxConcurrency),
    ratePerSecond: draft.ratePerSecond.trim() ? Number(draft.ratePerSecond) : null,
  };
}

/** Returns a merge patch of headers: new and changed values, and null for removed headers. */
function headerPatch(now: Record<string, string>, before: Record<string, string>): Record<string, string | null> {
  const gone = Object.keys(before).filter((name) => !(name in now));
  const set = Object.entries(now).filter(([name, value]) => before[name] !== value);
  return Object.fromEntries([...gone.map((name): [string, null] => [name, null]), ...set]);
}

/** Returns the merge patch with the changed fields only. */
export function toPatchBody(draft: Draft, webhook: Webhook): WebhookEdit {
  const whole = toCreateBody(draft);
  const edit: WebhookEdit = {};
  if (whole.endpoint !== webhook.endpoint) edit.endpoint = whole.endpoint!;
  if (JSON.stringify(whole.events) !== JSON.stringify(webhook.events)) edit.events = whole.events!;
  if ((whole.description ?? null) !== webhook.description) edit.description = whole.description ?? null;
  if (whole.maxConcurrency !== webhook.maxConcurrency) edit.maxConcurrency = whole.maxConcurrency!;
  if (whole.ratePerSecond !== webhook.ratePerSecond) edit.ratePerSecond = whole.ratePerSecond!;
  const headers = headerPatch(headersOf(draft), webhook.headers);
  if (Object.keys(headers).length > 0) edit.headers = headers;
  return edit;
}
