// When a webhook's secret was rotated, as the audit log tells it.

import type { AuditEntry } from '../api/types';

export interface Rotation {
  rotated: string | null;
  /** When the previous secret stops signing; null if it does not sign. */
  previousExpires: string | null;
}

const END = /^webhook\.end_/;

/** The overlap of a rotation in seconds. */
function overlapOf({ after }: AuditEntry): number {
  const seconds = typeof after === 'object' && after !== null ? (after as Record<string, unknown>)['overlapSeconds'] : undefined;
  return typeof seconds === 'number' ? seconds : 0;
}

/** Reads the last rotation from entries of one webhook, newest first. */
export function rotationOf(entries: readonly AuditEntry[]): Rotation {
  const done = entries.filter(({ outcome }) => outcome !== 'failed');
  const at = done.findIndex(({ action }) => action === 'webhook.rotate_secret');
  const entry = done[at];
  if (!entry) return { rotated: null, previousExpires: null };
  const ended = done.slice(0, at).some(({ action }) => END.test(action));
  const overlap = ended ? 0 : overlapOf(entry);
  return { rotated: entry.at, previousExpires: overlap > 0 ? new Date(Date.parse(entry.at) + overlap * 1000).toISOString() : null };
}
