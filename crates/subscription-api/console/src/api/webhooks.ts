// A brand's webhooks and their events.

import { parseKeeping } from '../lib/raw-json';
import { call, path, send, withQuery, type Query } from './client';
import type {
  Attempt,
  EventInFull,
  EventRow,
  Health,
  OfferedType,
  Page,
  RedeliveryJob,
  RedeliveryRange,
  RotatedSecret,
  Secret,
  Stats,
  Webhook,
  WebhookEdit,
} from './types';

export interface Place {
  brand: string;
  webhook: string;
}

const webhookPath = ({ brand, webhook }: Place) => path`/v1/${brand}/webhooks/${webhook}`;
const eventPath = (place: Place, event: string) => webhookPath(place) + path`/events/${event}`;

export const listWebhooks = (brand: string, query: Query, signal?: AbortSignal) =>
  call<Page<Webhook>>('GET', withQuery(path`/v1/${brand}/webhooks`, query), { signal });

export const readWebhook = (place: Place, signal?: AbortSignal) =>
  call<Webhook>('GET', webhookPath(place), { signal });

export const createWebhook = (brand: string, body: WebhookEdit) =>
  call<Webhook & Secret>('POST', path`/v1/${brand}/webhooks`, { body });

export const changeWebhook = (place: Place, body: WebhookEdit) =>
  call<Webhook>('PATCH', webhookPath(place), { body });

export const deleteWebhook = (place: Place) => call<null>('DELETE', webhookPath(place));

export const readSecret = (place: Place) => call<Secret>('GET', `${webhookPath(place)}/secret`);

export const rotateSecret = (place: Place, overlapSeconds: number) =>
  call<RotatedSecret>('POST', `${webhookPath(place)}/secret/rotate`, {
    body: { overlapSeconds },
  });

export const sendTest = (place: Place, type: string | null) =>
  call<{ eventId: string }>('POST', `${webhookPath(place)}/test`, { body: type ? { type } : {} });

export const readStats = (place: Place, query: Query, signal?: AbortSignal) =>
  call<Stats>('GET', withQuery(`${webhookPath(place)}/stats`, query), { signal });

export async function listEvents(place: Place, query: Query, signal?: AbortSignal): Promise<Page<EventRow>> {
  const page = await call<Page<EventInFull>>('GET', withQuery(`${webhookPath(place)}/events`, query), { signal });
  const row = ({ id, created, type, test, delivery }: EventInFull): EventRow => ({
    id,
    created,
    type,
    delivery,
    ...(test ? { test } : {}),
  });
  return { items: page.items.map(row), nextCursor: page.nextCursor };
}

export const readEvent = async (place: Place, event: string, signal?: AbortSignal) =>
  parseKeeping(await send('GET', eventPath(place, event), { signal }), ['data']) as EventInFull;

export const listAttempts = (place: Place, event: string, signal?: AbortSignal) =>
  call<Page<Attempt>>('GET', `${eventPath(place, event)}/attempts?limit=1000`, { signal });

export const redeliverEvent = (place: Place, event: string) =>
  call<{ queued: number }>('POST', `${eventPath(place, event)}/redeliver`);

export const redeliverRange = (place: Place, body: RedeliveryRange) =>
  call<{ jobId: string; queued: number }>('POST', `${webhookPath(place)}/redeliver`, { body });

export const readRedelivery = (place: Place, job: string, signal?: AbortSignal) =>
  call<RedeliveryJob>('GET', webhookPath(place) + path`/redeliver/${job}`, { signal });

/** All of the catalogue as the brand sees it: a tree needs the whole. */
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

export const readHealth = (place: Place, signal?: AbortSignal) =>
  call<Health>('GET', `${webhookPath(place)}/health`, { signal });
