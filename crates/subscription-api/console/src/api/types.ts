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

/** The states of a webhook's health, worst first. */
export const HEALTH_STATES = ['disabled', 'failing', 'resting', 'paused', 'idle', 'healthy'] as const;
export type HealthState = (typeof HEALTH_STATES)[number];

/** How a webhook fares. The figures that count towards disabling it are in `Health`. */
export interface WebhookHealth {
  state: HealthState;
  /** When the state began. */
  since: string | null;
  /** Share of delivered attempts, 0 to 1. */
  successRate: number | null;
  /** When the platform disables the webhook if it goes on like this. */
  disablesAt: string | null;
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
  /** Omitted by an API of the previous version. */
  health?: WebhookHealth;
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
  /** When the previous secret stops signing; null if only one signs. */
  previousExpires?: string | null;
  /** When the secret was rotated last; null if never. */
  rotated?: string | null;
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
  /** Outcome and status of the last attempt. Omitted by an API of the previous version. */
  outcome?: Outcome | null;
  statusCode?: number | null;
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

export const DISPOSITIONS = ['routed', 'no_webhook', 'not_enabled', 'rejected'] as const;
/** What the router did with an event. */
export type Disposition = (typeof DISPOSITIONS)[number];

/** An event of a brand, whether or not a webhook received it. */
export interface EventView {
  id: string;
  /** Omitted in the brand's own list. */
  brandId?: string;
  /** Null if the event was rejected because it has none. */
  type: string | null;
  created: string;
  /** When the router took the event. */
  received: string;
  /** The producer's key, such as an order id. It is not sent to endpoints. */
  key: string | null;
  disposition: Disposition;
  /** A sentence that explains the disposition. */
  detail: string | null;
  /** Why the event was rejected. */
  reason?: string | null;
  test?: boolean;
}

export const LOOKUP_RESULTS = [
  'delivered',
  'retrying',
  'queued',
  'failed',
  'held',
  'discarded',
  'not_subscribed',
  'filtered',
  'paused',
  'disabled',
  'created_later',
] as const;
export type LookupResult = (typeof LOOKUP_RESULTS)[number];

/** The answer of one webhook to "Where is my event?". */
export interface LookupWebhook {
  webhookId: string;
  endpoint: string;
  description: string | null;
  status: WebhookStatus | 'deleted';
  result: LookupResult;
  /** A full sentence. */
  detail: string | null;
  since: string | null;
  /** The number of deliveries in front of this one. */
  ahead: number | null;
  nextAttemptAt: string | null;
  delivery: Delivery | null;
}

/** The answer to "Where is my event?". */
export interface EventLookup extends EventView {
  /** The JSON as the producer sent it; null where no webhook wanted the event. */
  data: string | null;
  /** How often the same id or message id was published again. */
  duplicates: number;
  webhooks: LookupWebhook[];
  /** The same id in other brands; support only. */
  others?: { brandId: string; id: string }[];
}

export interface SearchResults {
  brands: { brandId: string; name: string }[];
  webhooks: { id: string; brandId: string; endpoint: string; description: string | null; status: WebhookStatus }[];
  eventTypes: { type: string; description: string }[];
  events: (EventView & { brandId: string })[];
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
  'auth',
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
  trigger: 'fresh' | 'retry' | 'redeliver' | 'held' | 'test' | 'catchup';
}

/** A header as it was sent: name and value. */
export type Header = readonly [name: string, value: string];

/** One attempt with its request and response. */
export interface Exchange extends Attempt {
  request: {
    /** Whether it was handed to a connection; null if that was not recorded. */
    sent?: boolean | null;
    method: string;
    url: string | null;
    /** Values of custom headers are `(hidden)`. Over HTTP/2 the first ones are pseudo-headers such as `:path`. */
    headers: Header[] | null;
    body: string | null;
    /** Why `body` is null. */
    bodyUnavailable?: string | null;
  } | null;
  /** Null if no response arrived. */
  response: {
    status: number;
    headers: Header[] | null;
    /** Whether headers beyond the first 4 KiB were left out. */
    headersTruncated: boolean | null;
    body: string | null;
    bodyTruncated: boolean | null;
  } | null;
  /** Milliseconds per phase; null where a phase did not happen. */
  timing: {
    dnsMs: number | null;
    connectMs: number | null;
    tlsMs: number | null;
    firstByteMs: number | null;
    /** Whether an open connection was used again; null if that was not recorded. */
    reusedConnection?: boolean | null;
  } | null;
  remoteAddress: string | null;
  tls: { version: string | null; problem: string | null } | null;
  /** Where a 3xx response pointed to. */
  location: string | null;
}

export interface StatsBucket {
  at: string;
  attempts: number;
  outcomes: Partial<Record<Outcome, number>>;
  /** Deliveries that ended in the bucket. Omitted by an API of the previous version. */
  events?: { delivered: number; failed: number };
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
  /** `failed` if omitted; `all` includes delivered events. */
  status?: DeliveryStatus | 'all';
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
  state: 'running' | 'finished' | 'stopped' | 'cancelled';
  total: number;
  /** Whether there are more deliveries than total. */
  more: boolean;
  attempted: number;
  delivered: number;
  brandId?: string;
  webhookId?: string;
  created?: string;
  updated?: string;
  actor?: string | null;
  from?: string | null;
  to?: string | null;
  status?: DeliveryStatus | 'all' | null;
  type?: string | null;
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

/** A named token of support. */
export interface SupportToken {
  id: string;
  name: string;
  created: string;
  /** At most a minute old; null if the token was never used. */
  lastUsedAt?: string | null;
  /** Null if the token does not expire. */
  expires?: string | null;
}

/** A token of a brand. */
export interface Token extends SupportToken {
  role: 'read' | 'write';
}

/** The answer to a new token, the only one with its text. */
export interface CreatedToken extends SupportToken {
  token: string;
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
  /** What came of the act. Omitted by an API of the previous version. */
  outcome?: 'done' | 'failed' | 'unknown';
}

/** A webhook that fails or is disabled, with the people to tell. */
export interface Attention {
  webhook: Webhook;
  brand: { brandId: string; name: string; contact: Contact | null };
  waiting: { deliveries: number; more?: boolean; oldest: string | null };
}

export interface Overview {
  at: string;
  services: { service: string; id: string; host: string; version: string; started: string; lastSeen: string }[];
  /** `note` explains a queue whose messages are not what one expects. */
  queues: { name: string; messages: number; note?: string | null }[];
  waiting: {
    deliveries: number;
    more: boolean;
    /** When the oldest delivery was due. */
    oldest: string | null;
    oldestBrandId?: string | null;
    oldestWebhookId?: string | null;
  };
  webhooks: Record<WebhookStatus, number>;
  disabled: Webhook[];
  /** Worst first, at most 100. Omitted by an API of the previous version. */
  attention?: Attention[];
  attentionMore?: boolean;
  rejected: number;
  minutes: StatsBucket[];
  /** Addresses that the operator configured. */
  links?: { grafana?: string | null; runbook?: string | null };
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
  type?: string | null;
  /** When the first and the last of them were rejected; null if unknown. */
  first?: string | null;
  last?: string | null;
}

/** Republishing or deleting rejected messages in the background. */
export interface RejectedJob {
  id: string;
  action: 'republish' | 'delete';
  brandId: string | null;
  reason: string | null;
  type: string | null;
  state: 'running' | 'finished' | 'stopped';
  done: number;
  total: number | null;
  created: string;
  updated: string;
  actor: string | null;
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
