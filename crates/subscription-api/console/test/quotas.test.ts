import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toQuotaDraft, toQuotaPatch, validateQuotas } from '../src/lib/quotas';
import { bytes } from '../src/lib/format';

const QUOTAS = { eventsPerSecond: 100, bytesPerSecond: null, deliveriesPerSecond: null, waitingBytes: 2 ** 30 };

test('an unchanged draft gives an empty patch', () => {
  assert.deepEqual(toQuotaPatch(toQuotaDraft(QUOTAS), QUOTAS), {});
});

test('a patch holds changed quotas, and null for cleared ones', () => {
  const draft = { ...toQuotaDraft(QUOTAS), eventsPerSecond: ' ', bytesPerSecond: ' 4096 ' };
  assert.deepEqual(toQuotaPatch(draft, QUOTAS), { eventsPerSecond: null, bytesPerSecond: 4096 });
});

test('only whole numbers in the range are valid', () => {
  const valid = { eventsPerSecond: '1', bytesPerSecond: '1024', deliveriesPerSecond: '', waitingBytes: '17592186044416' };
  assert.deepEqual(Object.values(validateQuotas(valid)), ['', '', '', '']);
  const invalid = { eventsPerSecond: '0', bytesPerSecond: '1023', deliveriesPerSecond: '1.5', waitingBytes: 'many' };
  assert.ok(Object.values(validateQuotas(invalid)).every((error) => error.startsWith('Enter a whole number from')));
});

test('sizes have the unit that fits', () => {
  assert.deepEqual([0, 1023, 1024, 1.5 * 1024 ** 2, 2 ** 30, 2 ** 44].map(bytes), ['0 B', '1023 B', '1.0 KiB', '1.5 MiB', '1.0 GiB', '16.0 TiB']);
});
