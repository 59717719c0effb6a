// The quotas of a brand in the form: texts, their validation, and the merge patch.

import type { Quotas } from '../api/types';

export type QuotaName = keyof Quotas;
export type QuotaDraft = Record<QuotaName, string>;

interface QuotaField {
  name: QuotaName;
  label: string;
  hint: string;
  min: number;
  max: number;
}

/** The quotas in their order on the page, with the ranges of the API. */
export const QUOTAS: readonly QuotaField[] = [
  { name: 'eventsPerSecond', label: 'Events per second', hint: 'If empty, there is no limit.', min: 1, max: 1_000_000 },
  { name: 'bytesPerSecond', label: 'Bytes per second', hint: 'Size of the event messages. If empty, there is no limit.', min: 1024, max: 2 ** 34 },
  { name: 'deliveriesPerSecond', label: 'Deliveries per second', hint: 'Each event counts once for every webhook that it matches. If empty, there is no limit.', min: 1, max: 1_000_000 },
  { name: 'waitingBytes', label: 'Waiting bytes', hint: 'Size of the event messages that may wait to be routed. If empty, 1 GiB.', min: 262_144, max: 2 ** 44 },
];

const byName = (value: (field: QuotaField) => string): QuotaDraft =>
  Object.fromEntries(QUOTAS.map((field) => [field.name, value(field)])) as QuotaDraft;

export const toQuotaDraft = (quotas: Quotas): QuotaDraft => byName(({ name }) => (quotas[name] === null ? '' : String(quotas[name])));

/** Validates a draft in the browser. The API has the last word. An empty text is no error. */
export const validateQuotas = (draft: QuotaDraft): QuotaDraft =>
  byName(({ name, min, max }) => {
    const text = draft[name].trim();
    const fits = text === '' || (/^\d+$/.test(text) && Number(text) >= min && Number(text) <= max);
    return fits ? '' : `Enter a whole number from ${min} to ${max}, or nothing.`;
  });

/** The changed quotas; null restores the default. */
export function toQuotaPatch(draft: QuotaDraft, before: Quotas): Partial<Quotas> {
  const patch: Partial<Quotas> = {};
  for (const { name } of QUOTAS) {
    const text = draft[name].trim();
    const value = text === '' ? null : Number(text);
    if (value !== before[name]) patch[name] = value;
  }
  return patch;
}
