import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DELIVERY_STATUSES, type RedeliveryJob } from '../src/api/types';
import { describeCount, describeEnd, describeJob, describeProgress, initialChoice, rangeBody, repeatsDelivered, STATUS_CHOICES } from '../src/lib/redelivery';

const job = (change: Partial<RedeliveryJob> & { trigger?: string } = {}): RedeliveryJob & { trigger?: string } => ({
  id: '1',
  state: 'running',
  total: 5120,
  more: false,
  attempted: 1733,
  delivered: 1690,
  from: '2026-11-29T12:00:00.000Z',
  to: '2026-11-29T13:00:00.000Z',
  status: 'failed',
  type: null,
  ...change,
});

test('every status is offered, failed first, so that no choice is ever blank', () => {
  const offered = STATUS_CHOICES.map(([choice]) => choice);
  assert.equal(offered[0], 'failed');
  assert.deepEqual([...offered].sort(), [...DELIVERY_STATUSES, 'all'].sort());
  for (const status of DELIVERY_STATUSES) assert.equal(initialChoice(status), status);
  assert.equal(initialChoice(''), 'failed');
  assert.equal(initialChoice('all'), 'failed');
  assert.equal(initialChoice('nonsense'), 'failed');
});

test('sending delivered events again needs a confirmation', () => {
  assert.deepEqual(STATUS_CHOICES.map(([choice]) => choice).filter(repeatsDelivered), ['delivered', 'all']);
});

test('the status is always part of the request', () => {
  assert.deepEqual(rangeBody('a', 'b', 'failed', ' '), { from: 'a', to: 'b', status: 'failed' });
  assert.deepEqual(rangeBody('a', 'b', 'all', 'ORDER'), { from: 'a', to: 'b', status: 'all', type: 'ORDER' });
});

test('the count says what it counted', () => {
  assert.equal(describeCount({ queued: 1 }, 'failed'), '1 failed event');
  assert.equal(describeCount({ queued: 12 }, 'all'), '12 events');
  assert.match(describeCount({ queued: 100_000, more: true }, 'held'), /^more than 100k held events$/i);
});

test('a job says what it redelivers and how far it is', () => {
  assert.equal(describeJob(job()), 'Failed events');
  assert.equal(describeJob(job({ type: 'ORDER' })), 'Failed events of ORDER');
  assert.equal(describeJob(job({ status: null })), 'Events of any status');
  assert.equal(describeJob(job({ from: null, to: null, total: 3 })), '3 selected events');
  assert.equal(describeJob(job({ trigger: 'held' })), 'Held events, after the webhook was enabled');
  assert.equal(describeProgress(job()), '1,733 of 5,120 attempted, 97.5% delivered');
  assert.equal(describeProgress(job({ total: 0 })), 'Nothing to redeliver');
  assert.match(describeEnd(job({ state: 'cancelled' })), /cancelled/);
  assert.match(describeEnd(job({ state: 'stopped' })), /no longer active/);
  assert.match(describeEnd(job({ state: 'finished' })), /^Done/);
});
