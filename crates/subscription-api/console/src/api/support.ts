// The routes of the API that need a support token.

import { parseKeeping } from '../lib/raw-json';
import { call, path, send, withQuery, type Query } from './client';
import type { Brand, Contact, EventType, Overview, Page, Quotas, Webhook } from './types';

export const readOverview = (signal?: AbortSignal) => call<Overview>('GET', '/admin/v1/overview', { signal });

export const listBrands = (query: Query, signal?: AbortSignal) =>
  call<Page<Brand>>('GET', withQuery('/admin/v1/brands', query), { signal });

export const readBrand = (brand: string, signal?: AbortSignal) =>
  call<Brand>('GET', path`/admin/v1/brands/${brand}`, { signal });

export const createBrand = (body: { brandId: string; name: string; contact?: Contact }) =>
  call<Brand>('POST', '/admin/v1/brands', { body });

export const editBrand = (brand: string, body: { name?: string; contact?: Contact | null; quotas?: Partial<Quotas> }) =>
  call<Brand>('PATCH', path`/admin/v1/brands/${brand}`, { body });

export const setTypeEnabled = (brand: string, pattern: string, on: boolean) =>
  call<null>(on ? 'PUT' : 'DELETE', path`/admin/v1/brands/${brand}/event-types/${pattern}`);

export const listAllWebhooks = (query: Query, signal?: AbortSignal) =>
  call<Page<Webhook>>('GET', withQuery('/admin/v1/webhooks', query), { signal });

export const disableWebhook = (webhook: string, detail: string) =>
  call<Webhook>('POST', path`/admin/v1/webhooks/${webhook}/disable`, { body: { detail } });

export const enableWebhook = (webhook: string, note: string, redeliverHeld: boolean) =>
  call<Webhook>('POST', path`/admin/v1/webhooks/${webhook}/enable`, { body: { note, redeliverHeld } });

export async function listCatalogue(signal?: AbortSignal): Promise<EventType[]> {
  const all: EventType[] = [];
  for (let cursor: string | null = ''; cursor !== null; ) {
    const address = withQuery('/admin/v1/event-types', { limit: 1000, cursor });
    const page = parseKeeping(await send('GET', address, { signal }), ['schema', 'example']) as Page<EventType>;
    all.push(...page.items);
    cursor = page.nextCursor;
  }
  return all;
}

export interface Definition {
  description: string;
  schema: string;
  enforceSchema: boolean;
  example: string;
}

/** Builds the body as text, so that schema and example are sent exactly as they were typed. */
export function putType(type: string, { description, schema, enforceSchema, example }: Definition) {
  const members = [`"description":${JSON.stringify(description)}`, `"enforceSchema":${enforceSchema}`];
  if (schema.trim()) members.push(`"schema":${schema}`);
  if (example.trim()) members.push(`"example":${example}`);
  return call<EventType>('PUT', path`/admin/v1/event-types/${type}`, { body: `{${members.join(',')}}` });
}

export const deleteType = (type: string) => call<null>('DELETE', path`/admin/v1/event-types/${type}`);
