// The words for a webhook's health: a label with a tone, and one line with the consequences.

import type { HealthState, Webhook } from '../api/types';
import { ago, clockTime, share, shortTime } from './format';

export type HealthTone = 'good' | 'bad' | 'warn' | 'idle';

interface Words {
  label: string;
  tone: HealthTone;
}

const WORDS: Record<HealthState, Words> = {
  healthy: { label: 'Healthy', tone: 'good' },
  failing: { label: 'Failing', tone: 'bad' },
  resting: { label: 'Resting', tone: 'warn' },
  idle: { label: 'Idle', tone: 'idle' },
  paused: { label: 'Paused', tone: 'idle' },
  disabled: { label: 'Disabled', tone: 'bad' },
};

/** The choices of a filter, worst first. */
export const HEALTH_CHOICES = [
  ['', 'Any health'],
  ['failing', 'Failing'],
  ['disabled', 'Disabled'],
  ['resting', 'Resting'],
  ['healthy', 'Healthy'],
  ['idle', 'Idle'],
  ['paused', 'Paused'],
] as const;

/** An API of the previous version sends no health, so its status has to do: an active webhook may be failing. */
export const healthWords = ({ health, status }: Webhook): Words =>
  health ? WORDS[health.state] : status === 'active' ? { label: 'Active', tone: 'idle' } : WORDS[status];

/** The reasons why a webhook is disabled. */
export const DISABLED_REASONS = {
  gone: 'the endpoint answered 410 Gone',
  failing: 'nearly all attempts failed',
  unresponsive: 'too many deliveries in a row failed',
  support: 'support disabled it',
} as const;

const DAY_MS = 86_400_000;

/** The time of day for a moment of the last day, or else with the date. */
export const since = (at: string, nowMs: number): string => (nowMs - Date.parse(at) < DAY_MS ? clockTime(at) : shortTime(at));

/** `in about 12 min`; `within a minute` once it is that close. */
export function about(at: string, nowMs: number): string {
  const seconds = Math.round((Date.parse(at) - nowMs) / 1000);
  if (seconds < 60) return 'within a minute';
  const minutes = Math.round(seconds / 60);
  return minutes < 90 ? `in about ${minutes} min` : `in about ${Math.round(minutes / 60)} h`;
}

/** One line that follows the word of the state, without it: "since 13:02. It will be disabled in about 12 min …". */
export function healthLine(webhook: Webhook, nowMs: number): string {
  const { health, disabled } = webhook;
  if (disabled) {
    return `since ${since(disabled.at, nowMs)}, because ${DISABLED_REASONS[disabled.reason]}. New events are held.`;
  }
  if (!health) return '';
  const from = health.since ? `since ${since(health.since, nowMs)}` : '';
  const rate = health.successRate === null ? '' : share(health.successRate, 1);
  switch (health.state) {
    case 'failing':
      return `${sentence(from, rate && `only ${rate} of the attempts succeed`)}${health.disablesAt ? ` It will be disabled ${about(health.disablesAt, nowMs)} if this continues.` : ''}`.trim();
    case 'resting':
      return sentence(from, 'because the endpoint asked for a break (Retry-After)');
    case 'idle':
      return 'No attempt was made in the last 24 hours.';
    case 'paused':
      return sentence(from, 'it receives no events, and events are not recorded for it');
    default:
      return rate ? `${rate} of the attempts succeed.` : '';
  }
}

function sentence(...parts: string[]): string {
  const text = parts.filter(Boolean).join(', ');
  return text ? `${text}.` : '';
}

/** A short addition for a row of a list: `since 13:02, disabled in about 12 min`. */
export function healthNote(webhook: Webhook, nowMs: number): string {
  const { health, disabled } = webhook;
  if (disabled) return `${disabled.reason}, ${ago(disabled.at, nowMs)}`;
  if (!health) return '';
  if (health.state === 'failing' && health.disablesAt) return `disabled ${about(health.disablesAt, nowMs)}`;
  if (['failing', 'resting'].includes(health.state) && health.since) return `since ${since(health.since, nowMs)}`;
  return '';
}

/** The name of a webhook for people: its description, or else its host and path. */
export function webhookName({ description, endpoint }: { description: string | null; endpoint: string }): string {
  return description?.trim() || shortUrl(endpoint);
}

/** A URL without its scheme and query. */
export function shortUrl(endpoint: string): string {
  try {
    const { host, pathname } = new URL(endpoint);
    return host + (pathname === '/' ? '' : pathname);
  } catch {
    return endpoint;
  }
}

const MAX_TYPED = 40;

/**
 * The text that a reader types to delete a webhook. It tells the webhooks of one brand apart, which their host does
 * not, and it is short enough to type.
 */
export function deletionText(webhook: { id: string; description: string | null; endpoint: string }): string {
  const description = webhook.description?.trim() ?? '';
  if (description && description.length <= MAX_TYPED) return description;
  const url = shortUrl(webhook.endpoint);
  return url.includes('/') && url.length <= MAX_TYPED ? url : webhook.id.slice(0, 8);
}
