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
  { label: 'Blocked address', colour: '--plot-blocked', of: ['blocked'] },
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
    latencyMs: {
      p50: slower(a.latencyMs.p50, b.latencyMs.p50),
      p90: slower(a.latencyMs.p90, b.latencyMs.p90),
      p99: slower(a.latencyMs.p99, b.latencyMs.p99),
    },
  };
}
