import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StatsBucket } from '../src/api/types';
import { ago, millis, share, span, humanize } from '../src/lib/format';
import { mergeBuckets, sumBuckets } from '../src/lib/stats';

const step = (at: string, delivered: number, dns: number, p99: number | null): StatsBucket => ({
  at,
  attempts: delivered + dns,
  outcomes: { delivered, dns },
  latencyMs: { p50: null, p90: null, p99 },
});

test('a share is never rounded to all or nothing', () => {
  assert.equal(share(99_999, 100_000), '99.9%');
  assert.equal(share(1, 100_000), '0.1%');
  assert.equal(share(1, 1), '100%');
  assert.equal(share(0, 5), '0%');
  assert.equal(share(0, 0), '–');
});

test('spans and times are short', () => {
  assert.equal(span(0), '0 s');
  assert.equal(span(61), '1 min 1 s');
  assert.equal(span(7200), '2 h');
  assert.equal(span(90_061), '1 d 1 h');
  assert.equal(millis(null), '–');
  assert.equal(millis(999), '999 ms');
  assert.equal(millis(1234), '1.23 s');
  assert.equal(ago('2026-01-01T00:00:00.000Z', Date.parse('2026-01-01T00:00:00.400Z')), 'now');
  assert.equal(ago('2026-01-01T00:00:01.000Z', Date.parse('2026-01-01T00:00:00.000Z')), 'now', 'clocks differ a little');
});

test('words of the API are humanized', () => {
  assert.equal(humanize('http_status'), 'HTTP status');
  assert.equal(humanize('dns'), 'DNS');
  assert.equal(humanize('delivered'), 'Delivered');
});

test('buckets of several webhooks add up, and the latency is the slowest', () => {
  const all = mergeBuckets([
    [step('t1', 1, 0, 10), step('t2', 0, 2, null)],
    [step('t1', 2, 1, 30)],
  ]);
  assert.deepEqual(all.map((s) => [s.at, s.attempts, s.latencyMs.p99]), [['t1', 4, 30], ['t2', 2, null]]);
  assert.deepEqual(sumBuckets(all), { attempts: 6, delivered: 3, failed: 3 });
});
