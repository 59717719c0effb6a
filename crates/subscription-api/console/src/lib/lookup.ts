// What the console says about an event and about each webhook that did or did not get it.

import type { Disposition, EventLookup, LookupResult, LookupWebhook } from '../api/types';
import { inChosenZone } from './sentence-times';

type Tone = 'good' | 'bad' | 'warn' | 'idle' | 'info';

interface Words {
  label: string;
  tone: Tone;
}

export const DISPOSITION_WORDS: Record<Disposition, Words> = {
  routed: { label: 'Routed', tone: 'good' },
  no_webhook: { label: 'No webhook', tone: 'idle' },
  not_enabled: { label: 'Not enabled', tone: 'warn' },
  rejected: { label: 'Rejected', tone: 'bad' },
};

export const DISPOSITION_CHOICES = [
  ['', 'Any'],
  ['routed', 'Routed to a webhook'],
  ['no_webhook', 'No webhook wanted it'],
  ['not_enabled', 'Type not enabled'],
  ['rejected', 'Rejected'],
] as const;

export const RESULT_WORDS: Record<LookupResult, Words> = {
  failed: { label: 'Failed', tone: 'bad' },
  retrying: { label: 'Retrying', tone: 'warn' },
  held: { label: 'Held', tone: 'warn' },
  queued: { label: 'Queued', tone: 'info' },
  discarded: { label: 'Discarded', tone: 'idle' },
  delivered: { label: 'Delivered', tone: 'good' },
  disabled: { label: 'Disabled', tone: 'bad' },
  paused: { label: 'Paused', tone: 'idle' },
  created_later: { label: 'Created later', tone: 'idle' },
  filtered: { label: 'Filtered', tone: 'idle' },
  not_subscribed: { label: 'Not subscribed', tone: 'idle' },
};

/** Sentences for results whose `detail` the API leaves out. */
const RESULT_SENTENCES: Record<LookupResult, string> = {
  delivered: 'The endpoint accepted the event.',
  failed: 'Every attempt failed, and the retry window is over.',
  retrying: 'An attempt failed. The next one follows by itself.',
  queued: 'It waits for its first attempt.',
  held: 'The webhook was disabled. The event is kept and can be redelivered once the webhook is active.',
  discarded: 'It was waiting when the webhook was paused or deleted.',
  not_subscribed: 'The webhook does not subscribe to this type.',
  filtered: "The webhook's filter excludes this event.",
  paused: 'The webhook was paused, and a paused webhook records no events.',
  disabled: 'The webhook was disabled.',
  created_later: 'The webhook did not exist yet when the event arrived.',
};

export const resultSentence = ({ result, detail }: LookupWebhook): string => (detail === null ? RESULT_SENTENCES[result] : inChosenZone(detail));

const ORDER = Object.keys(RESULT_WORDS);
/** Results of webhooks that were never meant to get the event. */
const UNAFFECTED: readonly LookupResult[] = ['created_later', 'filtered', 'not_subscribed', 'paused', 'disabled'];

/** Whether the event was meant for this webhook, so that its row stands in front. */
export const isMeant = ({ result, delivery }: LookupWebhook): boolean => delivery !== null || !UNAFFECTED.includes(result);

/** Troubled webhooks first, then delivered ones, then those that were not meant. */
export const byResult = (webhooks: readonly LookupWebhook[]): LookupWebhook[] =>
  [...webhooks].sort((a, b) => Number(isMeant(b)) - Number(isMeant(a)) || ORDER.indexOf(a.result) - ORDER.indexOf(b.result));

/** Whether something may still change, so that the page asks again soon. */
export const isMoving = ({ webhooks }: EventLookup): boolean => webhooks.some(({ result }) => result === 'queued' || result === 'retrying');

export interface Answer {
  tone: Tone;
  text: string;
  advice: string;
}

const REASONS: Record<string, string> = {
  unknown_type: 'Its type is not in the catalogue.',
  unknown_brand: 'There is no such brand.',
  schema_violation: "Its data violates the type's schema.",
  too_large: 'It is larger than 256 KiB.',
  missing_id: 'It has neither an id nor a message id.',
  not_json: 'It is not JSON.',
};

/** The answer to "Where is my event?" in one or two sentences. */
export function answerOf(event: EventLookup): Answer {
  switch (event.disposition) {
    case 'rejected':
      return {
        tone: 'bad',
        text: `The router rejected this event${event.reason ? ` (${event.reason})` : ''}. ${event.detail ?? REASONS[event.reason ?? ''] ?? ''}`.trim(),
        advice: 'Support can republish it once the cause is fixed.',
      };
    case 'not_enabled':
      return {
        tone: 'warn',
        text: event.detail ?? `The type ${event.type ?? ''} is not enabled for this brand, so no webhook received the event.`,
        advice: event.detail ? '' : 'Support enables types for a brand. Events that arrived before are not delivered later.',
      };
    case 'no_webhook':
      return { tone: 'warn', text: event.detail ?? 'No webhook wanted this event when it arrived.', advice: 'The table says why for each webhook.' };
    default:
      return routedAnswer(event);
  }
}

function routedAnswer({ webhooks, detail }: EventLookup): Answer {
  const meant = webhooks.filter(isMeant);
  const number = (...results: LookupResult[]) => meant.filter(({ result }) => results.includes(result)).length;
  const parts = [
    part(number('delivered'), 'received it', 'received it'),
    part(number('failed'), 'failed for good', 'failed for good'),
    part(number('retrying', 'queued'), 'is waiting for it', 'are waiting for it'),
    part(number('held'), 'holds it', 'hold it'),
    part(number('discarded'), 'discarded it', 'discarded it'),
  ].filter(Boolean);
  const tone: Tone = number('failed') ? 'bad' : number('held') ? 'warn' : number('retrying', 'queued') ? 'info' : number('delivered') ? 'good' : 'idle';
  if (parts.length === 0) return { tone, text: detail ?? 'The event was routed, but no webhook has it any more.', advice: '' };
  const of = `Of ${meant.length} ${meant.length === 1 ? 'webhook' : 'webhooks'} that wanted this event, ${parts.join(', ')}.`;
  return { tone, text: of, advice: '' };
}

const part = (n: number, one: string, more: string): string => (n === 0 ? '' : `${n} ${n === 1 ? one : more}`);
