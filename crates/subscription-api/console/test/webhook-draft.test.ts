import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Webhook } from '../src/api/types';
import { header, toCreateBody, toDraft, errorsByField, validateDraft, toPatchBody } from '../src/lib/webhook-draft';

const WEBHOOK = {
  endpoint: 'https://example.com/a',
  events: ['A'],
  description: 'mine',
  headers: { 'X-A': '(hidden)', 'X-B': '(hidden)' },
  maxConcurrency: 10,
  ratePerSecond: 5,
} as unknown as Webhook;

test('an unchanged draft gives an empty patch', () => {
  assert.deepEqual(toPatchBody(toDraft(WEBHOOK), WEBHOOK), {});
});

test('a patch holds changed fields, and null for cleared ones', () => {
  const draft = toDraft(WEBHOOK);
  draft.description = ' ';
  draft.ratePerSecond = '';
  draft.maxConcurrency = '20';
  draft.headers = draft.headers.filter((header) => header.name !== 'X-B');
  assert.deepEqual(toPatchBody(draft, WEBHOOK), {
    description: null,
    ratePerSecond: null,
    maxConcurrency: 20,
    headers: { 'X-B': null },
  });
  draft.headers = [];
  assert.deepEqual(toPatchBody(draft, WEBHOOK).headers, { 'X-A': null, 'X-B': null });
});

test('a stored header keeps its hidden value unless another one is entered', () => {
  const draft = toDraft(WEBHOOK);
  draft.headers = [{ ...draft.headers[0]!, value: 'new' }, draft.headers[1]!, { ...header(), name: 'X-C', value: '3' }];
  assert.deepEqual(toPatchBody(draft, WEBHOOK), { headers: { 'X-A': 'new', 'X-C': '3' } });
});

test('a renamed header needs its value', () => {
  const draft = toDraft(WEBHOOK);
  draft.headers = [{ ...draft.headers[0]!, name: 'X-New' }];
  assert.match(validateDraft(draft).headers?.[0] ?? '', /X-New.*X-A/);
  draft.headers = [{ ...draft.headers[0]!, value: '1' }];
  assert.deepEqual(toPatchBody(draft, WEBHOOK).headers, { 'X-A': null, 'X-B': null, 'X-New': '1' });
});

test('a create body leaves out empty fields', () => {
  const draft = { ...toDraft(null), endpoint: ' https://example.com ', events: ['*'] };
  assert.deepEqual(toCreateBody(draft), {
    endpoint: 'https://example.com',
    events: ['*'],
    headers: {},
    maxConcurrency: 10,
    ratePerSecond: null,
  });
});

test('errors are reported by field', () => {
  const bad = { ...toDraft(null), endpoint: 'http://example.com', maxConcurrency: '0', ratePerSecond: '1.5' };
  assert.deepEqual(Object.keys(validateDraft(bad)).sort(), ['endpoint', 'events', 'maxConcurrency', 'ratePerSecond']);
  for (const endpoint of ['', 'example.com', 'https://u:p@example.com', 'https://example.com/#x', 'ftp://example.com']) {
    assert.ok(validateDraft({ ...toDraft(WEBHOOK), endpoint }).endpoint, endpoint);
  }
  assert.deepEqual(validateDraft(toDraft(WEBHOOK)), {});
});

test('JSON pointers of the API are grouped by field', () => {
  const errors = [
    { pointer: '/headers/X-A', detail: 'a' },
    { pointer: '/headers', detail: 'b' },
    { pointer: '/endpoint', detail: 'c' },
  ];
  assert.deepEqual(errorsByField(errors), { headers: ['a', 'b'], endpoint: ['c'] });
});
