// The types of the API, as defined by /openapi.json.

export interface Me {
  role: 'support' | 'write' | 'read';
  brandId: string | null;
  name: string | null;
  exchange: string;
}

export interface Page<T> {
  items: T[];
  nextCursor: string | null;
}

export type WebhookStatus = 'active' | 'paused' | 'disabled';

export type Signature = 'v1' | 'v1a';

export interface Disabled {
  reason: 'gone' | 'failing' | 'unresponsive' | 'support';
  detail: string | null;
  at: string;
}

export interface Webhook {
  id: string;
  brandId: string;
  endpoint: string;
  events: string[];
  enabled: boolean;
  status: WebhookStatus;
  disabled: Disabled | null;
  description: string | null;
  /** Custom headers by name; each value is `(hidden)`. */
  headers: Record<string, string>;
  maxConcurrency: number;
  ratePerSecond: number | null;
  /** Omitted if the webhook uses v1 only. */
  signatures?: Signature[];
  created: string;
  updated: string;
}

export interface WebhookEdit {
  endpoint?: string;
  events?: string[];
  enabled?: boolean;
  description?: string | null;
  headers?: Record<string, string | null> | null;
  maxConcurrency?: number | null;
  ratePerSecond?: number | null;
  signatures?: Signature[] | null;
}

/** The secret of a webhook, and the public key if its requests are also signed with v1a. */
export interface Secret {
  secret: string;
  publicKey?: string;
  /** Custom headers with their values; not after a rotation. */
  headers?: Record<string, string>;
}

export interface RotatedSecret extends Secret {
  /** When the previous secret stops signing. */
  previousExpires: string | null;
}

export const DELIVERY_STATUSES = ['pending', 'delivered', 'failed', 'held', 'discarded'] as const;
export type DeliveryStatus = (typeof DELIVERY_STATUSES)[number];

export interface Delivery {
  status: DeliveryStatus;
  attempts: number;
  lastAttemptAt: string | null;
  nextAttemptAt: string | null;
  lastError: string | null;
}

/** An event in a list, without its data because a list may hold fifty thousand events. */
export interface EventRow {
  id: string;
  created: string;
  type: string;
  test?: boolean;
  delivery: Delivery;
}

export interface EventInFull extends EventRow {
  brandId: string;
  webhookId: string;
  /** The JSON as the producer sent it. */
  data: string;
}

export const OUTCOMES = [
  'delivered',
  'http_status',
  'timeout',
  'dns',
  'connect',
  'tls',
  'blocked',
  'protocol',
] as const;
export type Outcome = (typeof OUTCOMES)[number];

export interface Attempt {
  attemptId: string;
  startedAt: string;
  durationMs: number;
  outcome: Outcome;
  statusCode: number | null;
  error: string | null;
  responseBody: string | null;
  trigger: 'fresh' | 'retry' | 'redeliver' | 'held' | 'test';
}

export interface StatsBucket {
  at: string;
  attempts: number;
  outcomes: Partial<Record<Outcome, number>>;
  latencyMs: { p50: number | null; p90: number | null; p99: number | null };
}

export interface Stats {
  from: string;
  to: string;
  stepSeconds: number;
  items: StatsBucket[];
}

export interface RedeliveryRange {
  from: string;
  to: string;
  status?: DeliveryStatus;
  type?: string;
}

/** The events of a range, as far as they were counted. */
export interface RangeCount {
  queued: number;
  /** Whether there are more events than queued. */
  more?: boolean;
}

export interface RedeliveryJob {
  id: string;
  state: 'running' | 'finished' | 'stopped';
  total: number;
  /** Whether there are more deliveries than total. */
  more: boolean;
  attempted: number;
  delivered: number;
}

/** An entry of the catalogue. Schema and example are JSON as support entered it. */
export interface EventType {
  type: string;
  description: string;
  schema: string | null;
  enforceSchema: boolean;
  example: string | null;
  builtIn: boolean;
  created: string;
  updated: string;
}

export interface OfferedType extends EventType {
  enabled: boolean;
}

export interface Contact {
  name: string;
  email: string;
}

export interface Brand {
  brandId: string;
  name: string;
  contact: Contact | null;
  eventTypes: { typeOrGroup: string; enabled: boolean }[];
  quotas: Quotas;
  /** Events that wait for the brand, because it publishes faster than they are routed. */
  waiting: { events: number; bytes: number; since: string | null };
  created: string;
  updated: string;
}

/** How much a brand may publish; null is the default. */
export interface Quotas {
  eventsPerSecond: number | null;
  bytesPerSecond: number | null;
  deliveriesPerSecond: number | null;
  waitingBytes: number | null;
}

export interface Token {
  id: string;
  name: string;
  role: 'read' | 'write';
  created: string;
}

export interface AuditEntry {
  id: string;
  at: string;
  actor: string;
  action: string;
  brandId: string | null;
  subject: string;
  before: unknown;
  after: unknown;
}

export interface Overview {
  at: string;
  services: { service: string; id: string; host: string; version: string; started: string; lastSeen: string }[];
  queues: { name: string; messages: number }[];
  waiting: { deliveries: number; more: boolean; oldest: string | null };
  webhooks: Record<WebhookStatus, number>;
  disabled: Webhook[];
  rejected: number;
  minutes: StatsBucket[];
}

export interface Rejected {
  brandId: string | null;
  reason: string | null;
  detail: string | null;
  messageId: string | null;
  body: string;
  bodyEncoding: 'utf-8' | 'base64';
  bytes: number;
}

/** The rejected messages of a brand and a reason. */
export interface RejectedGroup {
  brandId: string | null;
  reason: string | null;
  messages: number;
  bytes: number;
}

/** Narrows rejected messages to a brand, a reason, or both; an empty text to neither. */
export interface RejectedFilter {
  brandId: string;
  reason: string;
  [name: string]: string;
}

/** The failures that count towards disabling a webhook, and the limits of the rule. */
export interface Health {
  windowSeconds: number;
  attempts: number;
  failures: number;
  firstFailure: string | null;
  lastFailure: string | null;
  failedInRow: number;
  rule: { minAttempts: number; failureRate: number; spanSeconds: number; failedDeliveries: number };
}
