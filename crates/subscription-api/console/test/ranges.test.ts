import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromInput, toInput } from '../src/lib/local-input';
import { rangeOf, stepFor, wholeSteps } from '../src/lib/range-math';
import { parseOrder, sortRows } from '../src/lib/sort';

const NOW = Date.parse('2026-11-29T08:13:02.500Z');
const query = (text: string) => new URLSearchParams(text);

test('a range comes from the address, and a preset keeps its key while time passes', () => {
  const day = rangeOf(query(''), '24h', NOW);
  assert.deepEqual([day.preset, day.from, day.to, day.key], ['24h', '2026-11-28T08:13:02.000Z', '2026-11-29T08:13:02.000Z', '24h']);
  assert.equal(rangeOf(query(''), '24h', NOW + 60_000).key, day.key);
  assert.equal(rangeOf(query('range=7d'), '24h', NOW).preset, '7d');
  const own = rangeOf(query('from=2026-11-29T07:00:00Z&to=2026-11-29T07:30:00Z'), '24h', NOW);
  assert.deepEqual([own.preset, own.from, own.to, own.stepSeconds], [null, '2026-11-29T07:00:00.000Z', '2026-11-29T07:30:00.000Z', 60]);
});

test('nonsense in the address falls back to the preset of the page', () => {
  for (const text of ['range=year', 'from=yesterday&to=today', 'from=2026-11-29T09:00:00Z&to=2026-11-29T08:00:00Z', 'from=2026-11-30T09:00:00Z', 'to=x']) {
    assert.equal(rangeOf(query(text), '1h', NOW).preset, '1h', text);
  }
});

test('steps stay few, and statistics cover whole steps', () => {
  assert.deepEqual([stepFor(3600), stepFor(86_400), stepFor(604_800), stepFor(10 * 365 * 86_400)], [60, 1800, 10_800, 86_400]);
  const whole = wholeSteps(rangeOf(query('range=1h'), '24h', NOW));
  assert.deepEqual(whole, { from: '2026-11-29T07:13:00.000Z', to: '2026-11-29T08:14:00.000Z', step: '60s' });
});

test('typed times are read in the chosen zone, and spans reach back from now', () => {
  assert.equal(fromInput('2026-11-29 08:13', 'utc'), '2026-11-29T08:13:00.000Z');
  assert.equal(fromInput('2026-11-29T08:13:05', 'utc'), '2026-11-29T08:13:05.000Z');
  assert.equal(fromInput('2026-11-29', 'utc'), '2026-11-29T00:00:00.000Z');
  assert.equal(fromInput('2h', 'utc', NOW), '2026-11-29T06:13:02.500Z');
  assert.equal(fromInput('7d ago', 'utc', NOW), '2026-11-22T08:13:02.500Z');
  assert.equal(fromInput('now', 'utc', NOW), '2026-11-29T08:13:02.500Z');
  assert.equal(fromInput('2026-11-29T09:13:00+01:00', 'utc'), '2026-11-29T08:13:00.000Z', 'a pasted time names its zone');
  for (const text of ['', 'soon', '2026-02-30 10:00', '2026-13-01', '2026-11-29 25:00', '29.11.2026']) assert.equal(fromInput(text, 'utc'), '', text);
});

test('a time survives the way through its field in both zones', () => {
  for (const zone of ['utc', 'local'] as const) {
    for (const iso of ['2026-11-29T08:13:00.000Z', '2026-06-01T23:59:07.000Z']) assert.equal(fromInput(toInput(iso, zone), zone), iso);
  }
  assert.equal(toInput('nonsense'), '');
});

test('rows are sorted by the address, and those without a value come last', () => {
  const rows = [{ n: 2 }, { n: null }, { n: 10 }];
  const by = (descending: boolean) => sortRows(rows, ({ n }) => n, descending).map(({ n }) => n);
  assert.deepEqual([by(false), by(true)], [[2, 10, null], [10, 2, null]]);
  assert.deepEqual(sortRows(['shop-10', 'shop-9'], (name) => name, false), ['shop-9', 'shop-10'], 'numbers in names count');
  assert.deepEqual([parseOrder('-since'), parseOrder('since'), parseOrder('')], [{ by: 'since', descending: true }, { by: 'since', descending: false }, null]);
});
