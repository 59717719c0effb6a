// What the redelivery of a range sends.

import type { DeliveryStatus, RangeCount } from '../api/types';
import { count } from './format';

/** The statuses that a range may be redelivered for; `all` includes delivered events. */
export const STATUS_CHOICES = [
  ['failed', 'Failed'],
  ['held', 'Held'],
  ['discarded', 'Discarded'],
  ['all', 'All, including delivered'],
] as const;

/** Returns the choice that a dialog begins with: the status of the list's filter if it can be chosen, or else failed. */
export function initialChoice(filter: string): string {
  const offered = STATUS_CHOICES.some(([choice]) => choice === filter && choice !== 'all');
  return offered ? filter : 'failed';
}

/** Returns the status for the API, which redelivers every status if it gets none. */
export const statusFilter = (choice: string): { status?: DeliveryStatus } =>
  choice === 'all' ? {} : { status: choice as DeliveryStatus };

/** `12 failed events`, `more than 100K events`. */
export function describeCount({ queued, more }: RangeCount, choice: string): string {
  const status = choice === 'all' ? '' : `${choice} `;
  return `${more ? 'more than ' : ''}${count(queued)} ${status}${queued === 1 && !more ? 'event' : 'events'}`;
}
