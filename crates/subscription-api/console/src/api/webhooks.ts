// The routes of the API for the webhooks of a brand and their events.

import { parseKeeping } from '../lib/raw-json';
import { call, path, send, withQuery, type Query } from './client';
import type {
  Attempt,
  EventInFull,
  EventRow,
  Health,
  OfferedType,
  Page,
  Secret,
  Stats,
  Webhook,
  WebhookEdit,
} from './types';

/** Identifies a webhook in paths of the API. */
export interface WebhookRef {
  brand: string;
  webhook: string;
}

const webhookPath = ({ brand, webhook }: WebhookRef) => path`/v1/${brand}/webhooks/${webhook}`;
const eventPath = (webhookRef: WebhookRef, event: string) => webhookPath(webhookRef) + path`/events/${event}`;

export const listWebhooks = (brand: string, query: Query, signal?: AbortSignal) =>
  call<Page<Webhook>>('GET', withQuery(path`/v1/${brand}/webhooks`, query), { signal });

export const readWebhook = (webhookRef: WebhookRef, signal?: AbortSignal) =>
  call<Webhook>('GET', webhookPath(webhookRef), { signal });

export const createWebhook = (brand: string, body: WebhookEdit) =>
  call<Webhook & Secret>('POST', path`/v1/${brand}/webhooks`, { body });

export const editWebhook = (webhookRef: WebhookRef, body: WebhookEdit) =>
  call<Webhook>('PATCH', webhookPath(webhookRef), { body });

export const deleteWebhook = (webhookRef: WebhookRef) => call<null>('DELETE', webhookPath(webhookRef));

export const sendTest = (webhookRef: WebhookRef, type: string | null) =>
  call<{ eventId: string }>('POST', `${webhookPath(webhookRef)}/test`, { body: type ? { type } : {} });

export const readStats = (webhookRef: WebhookRef, query: Query, signal?: AbortSignal) =>
  call<Stats>('GET', withQuery(`${webhookPath(webhookRef)}/stats`, query), { signal });

export async function listEvents(webhookRef: WebhookRef, query: Query, signal?: AbortSignal): Promise<Page<EventRow>> {
  const page = await call<Page<EventInFull>>('GET', withQuery(`${webhookPath(webhookRef)}/events`, query), { signal });
  const row = ({ id, created, type, test, delivery }: EventInFull): EventRow => ({
    id,
    created,
    type,
    delivery,
    ...(test ? { test } : {}),
  });
  return { items: page.items.map(row), nextCursor: page.nextCursor };
}

export const readEvent = async (webhookRef: WebhookRef, event: string, signal?: AbortSignal) =>
  parseKeeping(await send('GET', eventPath(webhookRef, event), { signal }), ['data']) as EventInFull;

export const listAttempts = (webhookRef: WebhookRef, event: string, signal?: AbortSignal) =>
  call<Page<Attempt>>('GET', `${eventPath(webhookRef, event)}/attempts?limit=1000`, { signal });

export const redeliverEvent = (webhookRef: WebhookRef, event: string) =>
  call<{ queued: number }>('POST', `${eventPath(webhookRef, event)}/redeliver`);

/** Reads all pages of the catalogue as the brand sees it, because a tree needs every type. */
export async function offeredTypes(brand: string, signal?: AbortSignal): Promise<OfferedType[]> {
  const all: OfferedType[] = [];
  for (let cursor: string | null = ''; cursor !== null; ) {
    const address = withQuery(path`/v1/${brand}/event-types`, { limit: 1000, cursor });
    const page = parseKeeping(await send('GET', address, { signal }), ['schema', 'example']) as Page<OfferedType>;
    all.push(...page.items);
    cursor = page.nextCursor;
  }
  return all;
}

export const readHealth = (webhookRef: WebhookRef, signal?: AbortSignal) =>
  call<Health>('GET', `${webhookPath(webhookRef)}/health`, { signal });
