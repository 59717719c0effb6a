// The time zone in which the console shows and reads times: the reader's own, or UTC. Two people in a call need the
// same one, so every time names its zone. A choice is kept in localStorage, because it is no secret.

import { signal } from '@preact/signals';

export type Zone = 'local' | 'utc';
const KEY = 'postrider.zone';

const storage = typeof localStorage === 'undefined' ? null : localStorage;
export const zone = signal<Zone>(storage?.getItem(KEY) === 'utc' ? 'utc' : 'local');

export function chooseZone(chosen: Zone): void {
  zone.value = chosen;
  if (chosen === 'utc') storage?.setItem(KEY, chosen);
  else storage?.removeItem(KEY);
}

/**
 * The locale of numbers and times. The console's texts are English, so a German browser gets English dates, too; a
 * reader whose browser lists a kind of English gets that one.
 */
export const LOCALE: string = (typeof navigator === 'undefined' ? [] : (navigator.languages ?? [])).find((tag) => /^en\b/i.test(tag)) ?? 'en-GB';

const timeZone = (of: Zone): { timeZone?: string } => (of === 'utc' ? { timeZone: 'UTC' } : {});

/** Returns a formatter for each zone. Reading it during a render subscribes to the switch. */
export function zoned(options: Intl.DateTimeFormatOptions, locale: string = LOCALE): (at: number | string) => string {
  const made = new Map<Zone, Intl.DateTimeFormat>();
  return (at) => {
    const of = zone.value;
    let format = made.get(of);
    if (!format) made.set(of, (format = new Intl.DateTimeFormat(locale, { ...options, ...timeZone(of) })));
    return format.format(new Date(at));
  };
}

/** Returns the short name of a zone at a time, such as `UTC`, `CET` or `GMT+5:30`. */
export function zoneName(at: number | string = Date.now(), of: Zone = zone.value): string {
  if (of === 'utc') return 'UTC';
  const parts = new Intl.DateTimeFormat('en-GB', { timeZoneName: 'short', ...timeZone(of) }).formatToParts(new Date(at));
  return parts.find(({ type }) => type === 'timeZoneName')?.value ?? '';
}

/** The reader's zone by its full name, such as `Europe/Berlin`. */
export const localZone = (): string => Intl.DateTimeFormat().resolvedOptions().timeZone;
