// How long a token lives, and whether it is used.

import type { SupportToken } from '../api/types';

const DAY_MS = 86_400_000;
/** From this long before its end a token is worth a warning. */
const SOON_MS = 14 * DAY_MS;

export type Expiry = 'never' | 'later' | 'soon' | 'expired';

export function expiryOf({ expires }: Pick<SupportToken, 'expires'>, nowMs: number): Expiry {
  if (!expires) return 'never';
  const left = Date.parse(expires) - nowMs;
  return left <= 0 ? 'expired' : left < SOON_MS ? 'soon' : 'later';
}

/** The choices of the form, in days; empty for a token that does not expire. */
export const LIFETIMES = [
  ['', 'Never'],
  ['30', 'In 30 days'],
  ['90', 'In 90 days'],
  ['365', 'In a year'],
] as const;

/** The end of a token that lives this many days, or nothing. */
export const expiresIn = (days: string, nowMs: number): { expires?: string } =>
  days ? { expires: new Date(nowMs + Number(days) * DAY_MS).toISOString() } : {};
