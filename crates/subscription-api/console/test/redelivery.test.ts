import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeCount, initialChoice, statusFilter, STATUS_CHOICES } from '../src/lib/redelivery';

test('a dialog begins with failed, whatever the list shows', () => {
  assert.deepEqual(['', 'delivered', 'pending', 'all', 'nonsense'].map(initialChoice), Array(5).fill('failed'));
  assert.deepEqual(['failed', 'held', 'discarded'].map(initialChoice), ['failed', 'held', 'discarded']);
});

test('only the choice of all statuses sends none to the API', () => {
  const sent = STATUS_CHOICES.map(([choice]) => statusFilter(choice).status);
  assert.deepEqual(sent, ['failed', 'held', 'discarded', undefined]);
});

test('the count names the status', () => {
  assert.equal(describeCount({ queued: 1 }, 'failed'), '1 failed event');
  assert.equal(describeCount({ queued: 0 }, 'held'), '0 held events');
  assert.equal(describeCount({ queued: 2 }, 'all'), '2 events');
  assert.match(describeCount({ queued: 100_000, more: true }, 'failed'), /^more than .+ failed events$/);
});
