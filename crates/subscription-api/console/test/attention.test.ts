import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Attention, Webhook } from '../src/api/types';
import { attentionOf } from '../src/lib/attention';

const webhook = (id: string) => ({ id, brandId: 'acme' }) as Webhook;
const failing = (id: string): Attention => ({
  webhook: webhook(id),
  brand: { brandId: 'acme', name: 'Acme', contact: null },
  waiting: { deliveries: 3, oldest: null },
});
const ids = (rows: Attention[]) => rows.map((row) => row.webhook.id);

test('disabled webhooks need attention after those that fail, and each is listed once', () => {
  assert.deepEqual(ids(attentionOf({ attention: [failing('b')], disabled: [webhook('a'), webhook('b')] })), ['b', 'a']);
  assert.deepEqual(ids(attentionOf({ attention: [], disabled: [webhook('a')] })), ['a'], 'nothing is well then');
  assert.deepEqual(ids(attentionOf({ disabled: [webhook('a')] })), ['a'], 'of an API of the previous version');
  assert.deepEqual(attentionOf({ attention: [], disabled: [] }), []);
});
