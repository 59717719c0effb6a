// The choices of a redelivery, and the words for its job.

import { DELIVERY_STATUSES, type DeliveryStatus, type RangeCount, type RedeliveryJob, type RedeliveryRange } from '../api/types';
import { count, humanize, pluralize, share } from './format';

/** Maximum number of events that one request redelivers by their ids. */
export const MAX_IDS = 1000;

/** Every status that a range may be redelivered for. Failed is first, because it is the usual reason. */
export const STATUS_CHOICES: readonly (readonly [string, string])[] = [
  ['failed', 'Failed'],
  ['held', 'Held'],
  ['discarded', 'Discarded'],
  ['pending', 'Pending'],
  ['delivered', 'Delivered (sent again)'],
  ['all', 'All (delivered ones are sent again)'],
];

/** Returns the choice that a dialog begins with: the status of the list's filter, or else failed. */
export const initialChoice = (filter: string): string => ((DELIVERY_STATUSES as readonly string[]).includes(filter) ? filter : 'failed');

/** Whether a choice sends events that the endpoint has received already, so that the reader has to confirm it. */
export const repeatsDelivered = (choice: string): boolean => choice === 'delivered' || choice === 'all';

/** The body of a range. The status is always given, so that it does not depend on a default of the API. */
export const rangeBody = (from: string, to: string, choice: string, type: string): RedeliveryRange => ({
  from,
  to,
  status: choice as DeliveryStatus | 'all',
  ...(type.trim() ? { type: type.trim() } : {}),
});

/** `12 failed events`, `more than 100K events`. */
export function describeCount({ queued, more }: RangeCount, choice: string): string {
  const status = choice === 'all' ? '' : `${choice} `;
  return `${more ? 'more than ' : ''}${count(queued)} ${status}${queued === 1 && !more ? 'event' : 'events'}`;
}

/** Names the events of a job: `Failed events of ORDER`, `Events of any status`. */
export function describeJob(job: RedeliveryJob & { trigger?: string }): string {
  if (job.trigger === 'held') return 'Held events, after the webhook was enabled';
  const ofType = job.type ? ` of ${job.type}` : '';
  if (!job.from && !job.to) return `${pluralize(job.total, 'selected event')}`;
  // Selected events have no status either, so the words hold for them and for a range with every status.
  if (!job.status || job.status === 'all') return `Events of any status${ofType}`;
  return `${humanize(job.status)} events${ofType}`;
}

/** The progress in words: `1,733 of 5,120 attempted, 98 % delivered`. */
export function describeProgress({ attempted, total, more, delivered }: RedeliveryJob): string {
  if (total === 0 && !more) return 'Nothing to redeliver';
  return `${count(attempted)} of ${more ? 'more than ' : ''}${count(total)} attempted${attempted > 0 ? `, ${share(delivered, attempted)} delivered` : ''}`;
}

/** Whether nothing of the job is left to do. A job that waits for late events counts as done once all were attempted. */
export const isOver = (job: RedeliveryJob): boolean => job.state !== 'running';

/** How a job ended. */
export function describeEnd(job: RedeliveryJob): string {
  switch (job.state) {
    case 'stopped':
      return 'The redelivery stopped because the webhook is no longer active.';
    case 'cancelled':
      return 'The redelivery was cancelled. Events that were not attempted keep their status.';
    default:
      return job.total === 0 ? 'There are no events to redeliver in this range.' : 'Done: every event was attempted.';
  }
}
