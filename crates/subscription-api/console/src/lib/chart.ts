// The arithmetic of the charts: stacked series, ticks that people count in, and the range of a selection.

import type { StatsBucket } from '../api/types';
import { countOutcomes, SERIES, type Series } from './stats';

/** Share of the chart's height that any failure gets at least, because five of four hundred would be invisible. */
const LEAST_SHARE = 0.02;

/** The series that occur in the buckets, from the bottom of the stack to its top. Delivered is always first. */
export const seriesOf = (buckets: readonly StatsBucket[]): Series[] =>
  SERIES.filter((series) => buckets.some((bucket) => countOutcomes(bucket, series) > 0));

/**
 * The heights of stacked series, from the bottom to the top: each contains the ones below it. A small count is drawn
 * higher than it is; the figures on hover and in the table are exact.
 */
export function stack(buckets: readonly StatsBucket[], shown: readonly Series[]): number[][] {
  const totals = buckets.map((bucket) => shown.reduce((sum, series) => sum + countOutcomes(bucket, series), 0));
  const least = Math.max(0, ...totals) * LEAST_SHARE;
  const height = (n: number) => (n === 0 ? 0 : Math.max(n, least));
  const sums = buckets.map(() => 0);
  return shown.map((series) => buckets.map((bucket, n) => (sums[n] = sums[n]! + height(countOutcomes(bucket, series)))));
}

/** Distances between ticks: 1, 2 and 5 with any number of zeros, so that no tick has a fraction. */
export const INCREMENTS: number[] = Array.from({ length: 10 }, (_, zeros) => [1, 2, 5].map((n) => n * 10 ** zeros)).flat();

/** `250 ms`, `1.5 s`: a tick of a latency axis, without digits that say nothing. */
export function latencyTick(ms: number): string {
  if (ms === 0) return '0';
  return ms < 1000 ? `${ms} ms` : `${Number((ms / 1000).toFixed(2))} s`;
}

/** Widens a selection to whole steps and keeps it inside the chart. Times are Unix seconds; null if it is empty. */
export function snapSelection(from: number, to: number, times: readonly number[], step: number): { from: string; to: string } | null {
  const [first, last] = [times[0], times.at(-1)];
  if (first === undefined || last === undefined || from >= to) return null;
  const down = Math.max(first, Math.floor((from - first) / step) * step + first);
  const up = Math.min(last + step, Math.ceil((to - first) / step) * step + first);
  if (down >= up) return null;
  return { from: new Date(down * 1000).toISOString(), to: new Date(up * 1000).toISOString() };
}
