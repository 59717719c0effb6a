// The routes of the API for events without a webhook in their address, for the search, and for single attempts.

import { parseKeeping } from '../lib/raw-json';
import { call, path, send, withQuery, type Query } from './client';
import type { EventLookup, EventView, Exchange, Page, SearchResults, Stats } from './types';
import type { WebhookRef } from './webhooks';

/** Every event of a brand, newest first, including those that no webhook received. */
export const listBrandEvents = (brand: string, query: Query, signal?: AbortSignal) =>
  call<Page<EventView>>('GET', withQuery(path`/v1/${brand}/events`, query), { signal });

/** Answers "Where is my event?". */
export const lookUpEvent = async (brand: string, event: string, signal?: AbortSignal) =>
  parseKeeping(await send('GET', path`/v1/${brand}/events/${event}`, { signal }), ['data']) as EventLookup;

/** Finds an event by its id or its producer's message id in any brand; support only. */
export const lookUpAnyEvent = async (idOrMessageId: string, signal?: AbortSignal) =>
  parseKeeping(await send('GET', path`/admin/v1/events/${idOrMessageId}`, { signal }), ['data']) as EventLookup & { brandId: string };

/** Searches everywhere for support, or in one brand. */
export const search = (brand: string | null, q: string, signal?: AbortSignal) =>
  call<SearchResults>('GET', withQuery(brand === null ? '/admin/v1/search' : path`/v1/${brand}/search`, { q }), { signal });

/** One attempt with its request and response. */
export const readExchange = ({ brand, webhook }: WebhookRef, event: string, attempt: string, signal?: AbortSignal) =>
  call<Exchange>('GET', path`/v1/${brand}/webhooks/${webhook}/events/${event}/attempts/${attempt}`, { signal });

/** The sum of the statistics of a brand's webhooks. */
export const readBrandStats = (brand: string, query: Query, signal?: AbortSignal) =>
  call<Stats>('GET', withQuery(path`/v1/${brand}/stats`, query), { signal });
