import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StatsBucket } from '../src/api/types';
import { latencyTick, seriesOf, snapSelection, stack } from '../src/lib/chart';
import { findMatches, initiallyFolded, parseTree, readable, walk } from '../src/lib/json-tree';
import { medianLatency, sumSuccess } from '../src/lib/stats';

const bucket = (outcomes: StatsBucket['outcomes'], more: Partial<StatsBucket> = {}): StatsBucket => ({
  at: '2026-11-29T08:00:00.000Z',
  attempts: Object.values(outcomes).reduce((sum, n) => sum + n, 0),
  outcomes,
  latencyMs: { p50: null, p90: null, p99: null },
  ...more,
});

test('only series that exist are drawn, with deliveries at the bottom', () => {
  const buckets = [bucket({ delivered: 400, timeout: 5 }), bucket({ delivered: 10 })];
  const series = seriesOf(buckets);
  assert.deepEqual(series.map(({ label }) => label), ['Delivered', 'Timeout']);
  const [delivered, timeout] = stack(buckets, series);
  assert.deepEqual(delivered, [400, 10]);
  assert.ok(timeout![0]! - 400 >= 405 * 0.02, 'a few failures among many deliveries stay visible');
  assert.equal(timeout![1], 10, 'nothing is drawn where nothing failed');
});

test('a selection covers whole steps inside the chart', () => {
  const times = [0, 60, 120];
  assert.deepEqual(snapSelection(70, 90, times, 60), { from: '1970-01-01T00:01:00.000Z', to: '1970-01-01T00:02:00.000Z' });
  assert.deepEqual(snapSelection(-50, 500, times, 60), { from: '1970-01-01T00:00:00.000Z', to: '1970-01-01T00:03:00.000Z' });
  assert.deepEqual([snapSelection(5, 5, times, 60), snapSelection(0, 9, [], 60)], [null, null]);
});

test('ticks have no digits that say nothing', () => {
  assert.deepEqual([0, 5, 200, 1000, 2500, 15_000].map(latencyTick), ['0', '5 ms', '200 ms', '1 s', '2.5 s', '15 s']);
});

test('success counts events where the API does, so that retries do not weigh more', () => {
  const dead = bucket({ http_status: 24 }, { events: { delivered: 0, failed: 3 } });
  const fine = bucket({ delivered: 97 }, { events: { delivered: 97, failed: 0 } });
  assert.deepEqual(sumSuccess([dead, fine]), { of: 'event', succeeded: 97, ended: 100 });
  assert.deepEqual(sumSuccess([bucket({ delivered: 1, dns: 3 })]), { of: 'attempt', succeeded: 1, ended: 4 });
});

test('one slow minute does not change the latency of an hour', () => {
  const minute = (p50: number | null) => bucket({}, { latencyMs: { p50, p90: p50, p99: p50 } });
  assert.deepEqual(medianLatency([minute(1), minute(15_000), minute(2), minute(null)]), { p50: 2, p99: 2 });
  assert.deepEqual(medianLatency([]), { p50: null, p99: null });
});

test('a tree keeps digits, order and duplicates of its source', () => {
  const tree = parseTree('{"b": 12345678901234567890, "10": 1.10, "a": [], "a": {"deep": ["J\\u00fcrgen", null]}}')!;
  assert.deepEqual(tree.children.map(({ key }) => key), ['b', '10', 'a', 'a']);
  assert.deepEqual(tree.children.slice(0, 2).map(readable), ['12345678901234567890', '1.10']);
  const name = tree.children[3]!.children[0]!.children[0]!;
  assert.equal(readable(name), '"Jürgen"');
  assert.deepEqual(findMatches(tree, 'jürg'), [name]);
  assert.deepEqual(findMatches(tree, 'DEEP').map(({ key }) => key), ['deep']);
});

test('what is no JSON, or too deep, is shown as text', () => {
  assert.equal(parseTree('<html>'), null);
  assert.equal(parseTree(''), null);
  assert.equal(parseTree('['.repeat(300) + ']'.repeat(300)), null);
  for (const scalar of ['1', '"x"', 'null', ' true ']) assert.equal(parseTree(scalar)?.text, scalar.trim());
});

test('a large payload is folded so far that it can be read', () => {
  const tree = parseTree(JSON.stringify({ items: Array.from({ length: 5000 }, (_, n) => ({ n, more: [n] })) }))!;
  const folded = initiallyFolded(tree);
  const open = [...walk(tree)].filter((node) => node.children.length > 0 && !folded.has(node.id));
  assert.ok(open.length < 400, `${open.length} values are open`);
  assert.equal(initiallyFolded(parseTree('{"a":{"b":[1,2]}}')!).size, 0);
});
