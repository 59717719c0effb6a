// Formats numbers and times for people, in English and in the zone of the switch.

import { LOCALE, zoned, zoneName, type Zone } from './zone';

const number = new Intl.NumberFormat(LOCALE);
const compact = new Intl.NumberFormat(LOCALE, { notation: 'compact', maximumFractionDigits: 1 });
const percent = new Intl.NumberFormat(LOCALE, { style: 'percent', maximumFractionDigits: 1 });
const day = zoned({ dateStyle: 'medium' });
const second = zoned({ day: 'numeric', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' });
const minute = zoned({ day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
const clock = zoned({ hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
const clockSecond = zoned({ hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' });
const dayOnly = zoned({ day: 'numeric', month: 'short' });
const relative = new Intl.RelativeTimeFormat(LOCALE, { numeric: 'always', style: 'short' });

export const count = (n: number): string => (Math.abs(n) < 100_000 ? number : compact).format(n);
export const exactCount = (n: number): string => number.format(n);

/** Formats a share. It shows 100 % only for the whole and 0 % only for nothing. */
export function share(part: number, whole: number): string {
  if (whole === 0) return '–';
  const exact = part / whole;
  if (exact < 1 && exact > 0.999) return percent.format(0.999);
  if (exact > 0 && exact < 0.001) return percent.format(0.001);
  return percent.format(exact);
}

/** `9 events`, `1 event`. */
export const pluralize = (n: number, one: string, more = `${one}s`): string => `${count(n)} ${n === 1 ? one : more}`;

/** `29 Nov 2026, 08:13:02`, without the zone, for places that name it beside. */
export const plainTime = (at: string | number): string => second(at);
/** `29 Nov 2026, 08:13:02 CET` */
export const localTime = (at: string | number): string => `${second(at)} ${zoneName(at)}`;
/** `29 Nov, 08:13`, without the zone, for axes and tables that name it in their head. */
export const shortTime = (at: string | number): string => minute(at);
/** `08:13` and `08:13:02`, without the zone. */
export const clockTime = (at: string | number): string => clock(at);
export const clockSeconds = (at: string | number): string => clockSecond(at);
/** A time in a given zone, whatever the switch says. */
export const zonedTime = (at: string, of: Zone): string =>
  new Intl.DateTimeFormat(LOCALE, { dateStyle: 'medium', timeStyle: 'medium', hourCycle: 'h23', ...(of === 'utc' ? { timeZone: 'UTC' } : {}) }).format(new Date(at));
export const localDay = (at: string | number): string => day(at);
export const shortDay = (at: string | number): string => dayOnly(at);
export const utcTime = (at: string): string => `${at.replace('T', ' ').replace('Z', '')} UTC`;

export function millis(ms: number | null): string {
  if (ms === null) return '–';
  if (ms < 1000) return `${Math.round(ms)} ms`;
  return `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`;
}

const UNITS: [Intl.RelativeTimeFormatUnit, number][] = [
  ['day', 86_400],
  ['hour', 3600],
  ['minute', 60],
  ['second', 1],
];

/** A time this close to now is now: clocks of servers and browsers differ, and "in 1 sec" would puzzle. */
const NOW_SECONDS = 5;

/** `3 min. ago`, `in 20 sec.`, `now` */
export function ago(at: string, now: number): string {
  const seconds = Math.round((Date.parse(at) - now) / 1000);
  if (Math.abs(seconds) < NOW_SECONDS) return 'now';
  for (const [unit, length] of UNITS) {
    if (Math.abs(seconds) >= length) return relative.format(Math.trunc(seconds / length), unit);
  }
  return 'now';
}

/** Formats a duration such as `2 h 5 min`. */
export function span(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const parts: [number, string][] = [
    [Math.floor(whole / 86_400), 'd'],
    [Math.floor(whole / 3600) % 24, 'h'],
    [Math.floor(whole / 60) % 60, 'min'],
    [whole % 60, 's'],
  ];
  const first = parts.findIndex(([n]) => n > 0);
  if (first < 0) return '0 s';
  return parts
    .slice(first, first + 2)
    .filter(([n]) => n > 0)
    .map(([n, unit]) => `${n} ${unit}`)
    .join(' ');
}

/** Formats a size such as `1.5 MiB`. */
export function bytes(n: number): string {
  const units = ['KiB', 'MiB', 'GiB', 'TiB'];
  if (n < 1024) return `${n} B`;
  const unit = Math.min(Math.floor(Math.log2(n) / 10), units.length) - 1;
  return `${(n / 1024 ** (unit + 1)).toFixed(1)} ${units[unit]}`;
}

export { humanize } from './words';
