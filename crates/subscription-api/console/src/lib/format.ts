// Formats numbers and times for people, in the reader's time zone and locale, and in UTC.

const number = new Intl.NumberFormat();
const compact = new Intl.NumberFormat(undefined, { notation: 'compact', maximumFractionDigits: 1 });
const percent = new Intl.NumberFormat(undefined, { style: 'percent', maximumFractionDigits: 1 });
const day = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium' });
const second = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: 'always', style: 'short' });

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

export const localTime = (at: string): string => second.format(new Date(at));
export const localDay = (at: string): string => day.format(new Date(at));
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

/** `3 min. ago`, `in 20 sec.` */
export function ago(at: string, now: number): string {
  const seconds = Math.round((Date.parse(at) - now) / 1000);
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

/** Formats a word of the API for people: `http_status` becomes `HTTP status`. */
export function humanize(text: string): string {
  const spoken = text.replace(/[_.]/g, ' ').replace(/^(http|dns|tls)\b/, (w) => w.toUpperCase());
  return spoken.charAt(0).toUpperCase() + spoken.slice(1);
}
