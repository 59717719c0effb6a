// Reads the statistics of the last 24 hours, a few webhooks at a time, and caches them for a minute.

import type { StatsBucket } from '../api/types';
import { readStats, type WebhookRef } from '../api/webhooks';

export type Day = readonly StatsBucket[] | 'coming' | 'unknown';

const MAX_CONCURRENT = 4;
const CACHE_TTL_MS = 60_000;
const HOUR_MS = 3_600_000;

const kept = new Map<string, { at: number; day: Promise<Day> }>();
const waiting: (() => void)[] = [];
let running = 0;

async function withPermit<T>(work: () => Promise<T>): Promise<T> {
  if (running >= MAX_CONCURRENT) await new Promise<void>((resolve) => waiting.push(resolve));
  running += 1;
  try {
    return await work();
  } finally {
    running -= 1;
    waiting.shift()?.();
  }
}

async function read(webhookRef: WebhookRef): Promise<Day> {
  const to = Math.ceil(Date.now() / HOUR_MS) * HOUR_MS;
  const query = { from: new Date(to - 24 * HOUR_MS).toISOString(), to: new Date(to).toISOString(), step: '1h' };
  try {
    return (await withPermit(() => readStats(webhookRef, query))).items;
  } catch {
    return 'unknown';
  }
}

export function readDay(webhookRef: WebhookRef): Promise<Day> {
  const key = `${webhookRef.brand}/${webhookRef.webhook}`;
  const found = kept.get(key);
  if (found && Date.now() - found.at < CACHE_TTL_MS) return found.day;
  const day = read(webhookRef);
  kept.set(key, { at: Date.now(), day });
  return day;
}
