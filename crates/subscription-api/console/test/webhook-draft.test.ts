import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Webhook } from '../src/api/types';
import { creation, draftOf, faultsByField, faultsOf, patch } from '../src/lib/webhook-draft';

const WEBHOOK = {
  endpoint: 'https://example.com/a',
  events: ['A'],
  description: 'mine',
  headers: { 'X-A': '1', 'X-B': '2' },
  maxConcurrency: 10,
  ratePerSecond: 5,
} as unknown as Webhook;

test('nothing changed is an empty patch', () => {
  assert.deepEqual(patch(draftOf(WEBHOOK), WEBHOOK), {});
});

test('a patch says what changed, and null for what is emptied', () => {
  const draft = draftOf(WEBHOOK);
  draft.description = ' ';
  draft.ratePerSecond = '';
  draft.maxConcurrency = '20';
  draft.headers = draft.headers.filter((header) => header.name !== 'X-B');
  assert.deepEqual(patch(draft, WEBHOOK), {
    description: null,
    ratePerSecond: null,
    maxConcurrency: 20,
    headers: { 'X-B': null },
  });
  draft.headers = [];
  assert.deepEqual(patch(draft, WEBHOOK).headers, { 'X-A': null, 'X-B': null });
});

test('a creation leaves out what is empty', () => {
  const draft = { ...draftOf(null), endpoint: ' https://example.com ', events: ['*'] };
  assert.deepEqual(creation(draft), {
    endpoint: 'https://example.com',
    events: ['*'],
    headers: {},
    maxConcurrency: 10,
    ratePerSecond: null,
  });
});

test('faults are told where they are', () => {
  const bad = { ...draftOf(null), endpoint: 'http://example.com', maxConcurrency: '0', ratePerSecond: '1.5' };
  assert.deepEqual(Object.keys(faultsOf(bad)).sort(), ['endpoint', 'events', 'maxConcurrency', 'ratePerSecond']);
  for (const endpoint of ['', 'example.com', 'https://u:p@example.com', 'https://example.com/#x', 'ftp://example.com']) {
    assert.ok(faultsOf({ ...draftOf(WEBHOOK), endpoint }).endpoint, endpoint);
  }
  assert.deepEqual(faultsOf(draftOf(WEBHOOK)), {});
});

test("the API's pointers find their field", () => {
  const faults = [
    { pointer: '/headers/X-A', detail: 'a' },
    { pointer: '/headers', detail: 'b' },
    { pointer: '/endpoint', detail: 'c' },
  ];
  assert.deepEqual(faultsByField(faults), { headers: ['a', 'b'], endpoint: ['c'] });
});
