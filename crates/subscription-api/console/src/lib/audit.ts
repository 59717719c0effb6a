// Turns entries of the audit log into words: who, what, and the changed fields.

import type { AuditEntry } from '../api/types';

export interface Actor {
  kind: 'support' | 'token' | 'platform' | 'other';
  /** The name of a person or token. */
  name: string;
  /** The id of the token, if the entry has it. */
  id: string | null;
}

/** Reads `support`, `support:<id> <name>`, `token:<id> <name>` and `platform`. */
export function parseActor(actor: string): Actor {
  const [, kind = '', id = null, name = ''] = /^(support|token):(\S+)(?: (.*))?$/.exec(actor) ?? [];
  if (kind) return { kind: kind as 'support' | 'token', name: name || (id ?? ''), id };
  if (actor === 'support') return { kind: 'support', name: 'Support', id: null };
  if (actor === 'platform') return { kind: 'platform', name: 'Postrider', id: null };
  return { kind: 'other', name: actor, id: null };
}

const ACTIONS: Record<string, string> = {
  'brand.create': 'Created the brand',
  'brand.change': 'Changed the brand',
  'event_type.put': 'Saved the event type',
  'event_type.delete': 'Deleted the event type',
  'event_type.enable': 'Enabled the event type',
  'event_type.disable': 'Disabled the event type',
  'rejected.republish': 'Republished rejected events',
  'rejected.delete': 'Deleted rejected events',
  'rejected.cancel': 'Stopped a job on rejected events',
  'support_token.create': 'Created the support token',
  'support_token.delete': 'Deleted the support token',
  'token.create': 'Created the token',
  'token.delete': 'Deleted the token',
  'webhook.create': 'Created the webhook',
  'webhook.change': 'Changed the webhook',
  'webhook.delete': 'Deleted the webhook',
  'webhook.disable': 'Disabled the webhook',
  'webhook.enable': 'Enabled the webhook',
  'webhook.read_secret': 'Read the secret of',
  'webhook.rotate_secret': 'Rotated the secret of',
  'webhook.end_previous_secret': 'Ended the previous secret of',
  'webhook.redeliver': 'Redelivered an event of',
  'webhook.redeliver_range': 'Redelivered events of',
  'webhook.cancel_redelivery': 'Cancelled a redelivery of',
  'webhook.test': 'Sent a test event to',
};

/** Names an action for people. An action that the console does not know shows as the API sent it. */
export const actionText = (action: string): string => ACTIONS[action] ?? action;

/** The choices of the filter of actions. */
export const ACTION_CHOICES: readonly (readonly [string, string])[] = [
  ['', 'Any action'],
  ['webhook.create', 'Webhook created'],
  ['webhook.change', 'Webhook changed'],
  ['webhook.delete', 'Webhook deleted'],
  ['webhook.disable', 'Webhook disabled'],
  ['webhook.enable', 'Webhook enabled'],
  ['webhook.read_secret', 'Secret read'],
  ['webhook.rotate_secret', 'Secret rotated'],
  ['webhook.end_previous_secret', 'Overlap of secrets ended'],
  ['webhook.redeliver_range', 'Events redelivered'],
  ['webhook.redeliver', 'One event redelivered'],
  ['webhook.cancel_redelivery', 'Redelivery cancelled'],
  ['webhook.test', 'Test event sent'],
  ['brand.create', 'Brand created'],
  ['brand.change', 'Brand changed'],
  ['token.create', 'Token created'],
  ['token.delete', 'Token deleted'],
  ['support_token.create', 'Support token created'],
  ['support_token.delete', 'Support token deleted'],
  ['event_type.put', 'Event type saved'],
  ['event_type.delete', 'Event type deleted'],
  ['event_type.enable', 'Event type enabled'],
  ['event_type.disable', 'Event type disabled'],
  ['rejected.republish', 'Rejected events republished'],
  ['rejected.delete', 'Rejected events deleted'],
  ['rejected.cancel', 'Job on rejected events stopped'],
];

type Fields = Record<string, unknown>;
const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value);

const text = (fields: unknown, name: string): string => (isFields(fields) && typeof fields[name] === 'string' ? fields[name] : '');

/** The name of the subject that the entry itself holds: a description, an endpoint or the name of a token. */
export function subjectName({ before, after }: AuditEntry): string {
  for (const fields of [after, before]) {
    const name = text(fields, 'description') || text(fields, 'endpoint') || text(fields, 'name');
    if (name) return name;
  }
  return '';
}

/** The types or groups that the entry enabled or disabled for a brand. The subject of such an entry is the brand. */
export function switchedPatterns({ before, after }: AuditEntry): string[] {
  const [was, is] = [enabledOf(before), enabledOf(after)];
  return [...new Set([...was, ...is])].filter((pattern) => was.has(pattern) !== is.has(pattern)).sort();
}

function enabledOf(brand: unknown): Set<string> {
  const types = isFields(brand) && Array.isArray(brand['eventTypes']) ? (brand['eventTypes'] as Fields[]) : [];
  return new Set(types.filter(({ enabled }) => enabled === true).map(({ typeOrGroup }) => String(typeOrGroup)));
}

/** The note or reason of the entry, which is the most telling field of an act of support or the platform. */
export function entryNote({ after }: AuditEntry): string {
  if (!isFields(after)) return '';
  return text(after, 'note') || text(after['disabled'], 'detail') || text(after, 'detail');
}

export interface Change {
  name: string;
  before: string | null;
  after: string | null;
}

/** Fields that change with every write or repeat the head of the entry. */
const NOISE = new Set(['updated', 'created', 'id', 'brandId', 'health']);

/** Lists the changed fields with their values as text; null where a side does not have the field. */
export function changesOf({ before, after }: AuditEntry): Change[] {
  const was = isFields(before) ? before : {};
  const is = isFields(after) ? after : {};
  const both = isFields(before) && isFields(after);
  const names = [...new Set([...Object.keys(was), ...Object.keys(is)])].filter((name) => !NOISE.has(name));
  const changed = names.filter((name) => JSON.stringify(was[name]) !== JSON.stringify(is[name]));
  const empty = (value: unknown) => value === null || value === undefined || (Array.isArray(value) && value.length === 0) || (isFields(value) && Object.keys(value).length === 0);
  // A new or deleted thing has many empty fields, which say nothing.
  return changed.filter((name) => both || !empty(was[name] ?? is[name])).map((name) => ({ name, before: show(was[name]), after: show(is[name]) }));
}

function show(value: unknown): string | null {
  if (value === undefined || value === null) return null;
  if (typeof value === 'string') return value;
  if (Array.isArray(value) && value.every((item) => typeof item === 'string')) return value.join(', ');
  if (isFields(value)) return Object.entries(value).filter(([, v]) => v !== null).map(([k, v]) => `${k}: ${show(v)}`).join('\n');
  return JSON.stringify(value);
}
