// Adds up statistics over time buckets and over webhooks.

import { OUTCOMES, type Outcome, type StatsBucket } from '../api/types';

export interface Sums {
  attempts: number;
  delivered: number;
  failed: number;
}

export const failures = (bucket: StatsBucket): number =>
  OUTCOMES.reduce((n, outcome) => n + (outcome === 'delivered' ? 0 : (bucket.outcomes[outcome] ?? 0)), 0);

export function sumBuckets(buckets: readonly StatsBucket[]): Sums {
  const delivered = buckets.reduce((n, bucket) => n + (bucket.outcomes.delivered ?? 0), 0);
  const failed = buckets.reduce((n, bucket) => n + failures(bucket), 0);
  return { attempts: delivered + failed, delivered, failed };
}

export interface Success {
  /** Whether whole deliveries were counted; an API of the previous version counts attempts. */
  of: 'event' | 'attempt';
  succeeded: number;
  ended: number;
}

/**
 * What share succeeded, of events if the API counts them: eight attempts at each event of a dead endpoint would weigh
 * eight times as much as an event that arrived at once.
 */
export function sumSuccess(buckets: readonly StatsBucket[]): Success {
  if (buckets.every(({ events }) => events === undefined)) {
    const { delivered, attempts } = sumBuckets(buckets);
    return { of: 'attempt', succeeded: delivered, ended: attempts };
  }
  const delivered = buckets.reduce((n, { events }) => n + (events?.delivered ?? 0), 0);
  const failed = buckets.reduce((n, { events }) => n + (events?.failed ?? 0), 0);
  return { of: 'event', succeeded: delivered, ended: delivered + failed };
}

/** Outcomes that share a colour in a plot, because eight colours are hard to tell apart. */
export interface Series {
  label: string;
  colour: string;
  of: readonly Outcome[];
}

export const SERIES: readonly Series[] = [
  { label: 'Delivered', colour: '--plot-delivered', of: ['delivered'] },
  { label: 'HTTP status', colour: '--plot-status', of: ['http_status'] },
  { label: 'Timeout', colour: '--plot-timeout', of: ['timeout'] },
  { label: 'Connection', colour: '--plot-connection', of: ['dns', 'connect', 'tls', 'protocol'] },
  { label: 'Blocked or no credentials', colour: '--plot-blocked', of: ['blocked', 'auth'] },
];

export const countOutcomes = (bucket: StatsBucket, series: Series): number =>
  series.of.reduce((n, outcome) => n + (bucket.outcomes[outcome] ?? 0), 0);

/**
 * Merges the buckets of several webhooks. Counts add up. Percentiles cannot be added, so each one is that
 * of the slowest webhook in the bucket.
 */
export function mergeBuckets(all: readonly (readonly StatsBucket[])[]): StatsBucket[] {
  const buckets = new Map<string, StatsBucket>();
  for (const bucket of all.flat()) {
    const sum = buckets.get(bucket.at);
    buckets.set(bucket.at, sum ? addBuckets(sum, bucket) : bucket);
  }
  return [...buckets.values()].sort((a, b) => (a.at < b.at ? -1 : 1));
}

function addBuckets(a: StatsBucket, b: StatsBucket): StatsBucket {
  const outcomes: Partial<Record<Outcome, number>> = {};
  for (const outcome of OUTCOMES) outcomes[outcome] = (a.outcomes[outcome] ?? 0) + (b.outcomes[outcome] ?? 0);
  const slower = (x: number | null, y: number | null) => (x === null ? y : y === null ? x : Math.max(x, y));
  return {
    at: a.at,
    attempts: a.attempts + b.attempts,
    outcomes,
    ...(a.events || b.events
      ? {
          events: {
            delivered: (a.events?.delivered ?? 0) + (b.events?.delivered ?? 0),
            failed: (a.events?.failed ?? 0) + (b.events?.failed ?? 0),
          },
        }
      : {}),
    latencyMs: {
      p50: slower(a.latencyMs.p50, b.latencyMs.p50),
      p90: slower(a.latencyMs.p90, b.latencyMs.p90),
      p99: slower(a.latencyMs.p99, b.latencyMs.p99),
    },
  };
}

/** The median over the buckets with attempts, because one bad minute says little about an hour. */
export function medianLatency(buckets: readonly StatsBucket[]): { p50: number | null; p99: number | null } {
  const median = (values: (number | null)[]) => {
    const known = values.filter((value) => value !== null).sort((a, b) => a - b);
    return known[Math.floor(known.length / 2)] ?? null;
  };
  return { p50: median(buckets.map((bucket) => bucket.latencyMs.p50)), p99: median(buckets.map((bucket) => bucket.latencyMs.p99)) };
}
