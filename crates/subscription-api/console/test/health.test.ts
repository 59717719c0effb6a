import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HealthState, Webhook, WebhookHealth } from '../src/api/types';
import { about, deletionText, healthLine, healthNote, healthWords, shortUrl, webhookName } from '../src/lib/health';
import { zone } from '../src/lib/zone';

const NOW = Date.parse('2026-11-29T13:40:00.000Z');
const webhook = (state: HealthState, health: Partial<WebhookHealth> = {}, extra: Partial<Webhook> = {}): Webhook => ({
  id: '9e21c694-ee9e-48a7-b016-522fd8ef08c1',
  brandId: 'acme',
  endpoint: 'https://hooks.example.com/orders?key=1',
  events: ['*'],
  enabled: true,
  status: 'active',
  disabled: null,
  description: null,
  headers: {},
  maxConcurrency: 10,
  ratePerSecond: null,
  created: '2026-11-01T00:00:00.000Z',
  updated: '2026-11-01T00:00:00.000Z',
  health: { state, since: null, successRate: null, disablesAt: null, ...health },
  ...extra,
});

test('a failing webhook says since when, and when it will be disabled', () => {
  zone.value = 'utc';
  const failing = webhook('failing', { since: '2026-11-29T13:02:00.000Z', successRate: 0.04, disablesAt: '2026-11-29T13:52:00.000Z' });
  assert.equal(healthLine(failing, NOW), 'since 13:02, only 4% of the attempts succeed. It will be disabled in about 12 min if this continues.');
  assert.equal(healthNote(failing, NOW), 'disabled in about 12 min');
  assert.equal(healthNote(webhook('failing', { since: '2026-11-29T13:02:00.000Z' }), NOW), 'since 13:02');
});

test('an active webhook without health is not called healthy', () => {
  const { health: _, ...old } = webhook('healthy');
  assert.deepEqual(healthWords(old), { label: 'Active', tone: 'idle' });
  assert.equal(healthLine(old, NOW), '');
});

test('a disabled webhook says why', () => {
  const disabled = webhook('disabled', {}, { status: 'disabled', disabled: { reason: 'gone', detail: null, at: '2026-11-29T13:00:00.000Z' } });
  assert.equal(healthLine(disabled, NOW), 'since 13:00, because the endpoint answered 410 Gone. New events are held.');
});

test('the end is never in the past', () => {
  assert.equal(about('2026-11-29T13:30:00.000Z', NOW), 'within a minute');
  assert.equal(about('2026-11-29T16:40:00.000Z', NOW), 'in about 3 h');
});

test('a webhook is named by its description, or by host and path', () => {
  assert.equal(webhookName(webhook('idle')), 'hooks.example.com/orders');
  assert.equal(webhookName(webhook('idle', {}, { description: 'ERP' })), 'ERP');
  assert.equal(shortUrl('no url'), 'no url');
});

test('the text that confirms a deletion tells webhooks of one host apart', () => {
  assert.equal(deletionText(webhook('idle', {}, { description: 'ERP' })), 'ERP');
  assert.equal(deletionText(webhook('idle')), 'hooks.example.com/orders');
  assert.equal(deletionText(webhook('idle', {}, { endpoint: 'https://example.com/' })), '9e21c694');
  assert.equal(deletionText(webhook('idle', {}, { endpoint: `https://example.com/${'x'.repeat(80)}` })), '9e21c694');
});
