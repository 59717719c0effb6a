// Reads and writes times that people type: `2026-11-24 10:07` in the zone of the switch, or a span such as `2h` or
// `7d` that reaches back from now.

import { zone, type Zone } from './zone';

const STAMP = /^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2}))?)?$/;
const SPAN = /^(\d{1,5})\s*(s|m|min|h|d)(?:\s+ago)?$/i;
const SECONDS: Record<string, number> = { s: 1, m: 60, min: 60, h: 3600, d: 86_400 };

const two = (n: number, width = 2) => String(n).padStart(width, '0');

/** Returns the text of an input, such as `2026-11-24 10:07`, or an empty text. Seconds appear only if there are any. */
export function toInput(iso: string, of: Zone = zone.value): string {
  const at = new Date(iso);
  if (!iso || Number.isNaN(at.getTime())) return '';
  const shifted = of === 'utc' ? at : new Date(at.getTime() - at.getTimezoneOffset() * 60_000);
  const seconds = shifted.getUTCSeconds();
  const day = `${two(shifted.getUTCFullYear(), 4)}-${two(shifted.getUTCMonth() + 1)}-${two(shifted.getUTCDate())}`;
  return `${day} ${two(shifted.getUTCHours())}:${two(shifted.getUTCMinutes())}${seconds ? `:${two(seconds)}` : ''}`;
}

/** Returns the time as RFC 3339 in UTC, or an empty text if it is none. */
export function fromInput(text: string, of: Zone = zone.value, now: number = Date.now()): string {
  const typed = text.trim();
  if (/^now$/i.test(typed)) return new Date(now).toISOString();
  const span = SPAN.exec(typed);
  if (span) return new Date(now - Number(span[1]) * 1000 * (SECONDS[span[2]!.toLowerCase()] ?? 0)).toISOString();
  const stamp = STAMP.exec(typed);
  if (stamp) return fromParts(stamp.slice(1).map((part) => Number(part ?? 0)), of);
  // An RFC 3339 time that somebody pasted names its own zone.
  if (/^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}.*(Z|[+-]\d{2}:?\d{2})$/i.test(typed)) {
    const at = new Date(typed.replace(' ', 'T'));
    return Number.isNaN(at.getTime()) ? '' : at.toISOString();
  }
  return '';
}

function fromParts([year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0]: number[], of: Zone): string {
  if (month < 1 || month > 12 || hour > 23 || minute > 59 || second > 59) return '';
  const utc = new Date(Date.UTC(year, month - 1, day, hour, minute, second));
  // The 31st of a short month would become the 1st of the next.
  if (utc.getUTCDate() !== day || utc.getUTCMonth() !== month - 1) return '';
  return (of === 'utc' ? utc : new Date(year, month - 1, day, hour, minute, second)).toISOString();
}
