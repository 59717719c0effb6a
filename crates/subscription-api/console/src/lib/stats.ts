// Sums over the steps of statistics.

import { OUTCOMES, type Outcome, type StatsStep } from '../api/types';

export interface Sums {
  attempts: number;
  delivered: number;
  failed: number;
}

export const failures = (step: StatsStep): number =>
  OUTCOMES.reduce((n, outcome) => n + (outcome === 'delivered' ? 0 : (step.outcomes[outcome] ?? 0)), 0);

export function sums(steps: readonly StatsStep[]): Sums {
  const delivered = steps.reduce((n, step) => n + (step.outcomes.delivered ?? 0), 0);
  const failed = steps.reduce((n, step) => n + failures(step), 0);
  return { attempts: delivered + failed, delivered, failed };
}

/** What belongs together in a plot: eight colours nobody can tell apart. */
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

export const valueOf = (step: StatsStep, series: Series): number =>
  series.of.reduce((n, outcome) => n + (step.outcomes[outcome] ?? 0), 0);

/**
 * The steps of several webhooks as one. Counts add up; of latencies only bounds can be told: each
 * figure is that of the slowest webhook in the step.
 */
export function merged(all: readonly (readonly StatsStep[])[]): StatsStep[] {
  const steps = new Map<string, StatsStep>();
  for (const step of all.flat()) {
    const sum = steps.get(step.at);
    steps.set(step.at, sum ? added(sum, step) : step);
  }
  return [...steps.values()].sort((a, b) => (a.at < b.at ? -1 : 1));
}

function added(a: StatsStep, b: StatsStep): StatsStep {
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
