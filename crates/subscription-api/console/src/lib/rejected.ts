// The words for rejected events, by the reason that the router gave.

import type { RejectedGroup } from '../api/types';
import { humanize } from './format';

interface Explanation {
  title: string;
  /** The way to fix it. */
  advice: string;
}

const REASONS: Record<string, Explanation> = {
  unknown_type: { title: 'Unknown event type', advice: 'Add the type to the catalogue, then republish.' },
  unknown_brand: { title: 'Unknown brand', advice: 'Create the brand, or have the producer correct brandId. Then republish.' },
  schema_violation: { title: 'Data violates the schema', advice: 'Have the producer correct the data, or change the schema and republish.' },
  too_large: { title: 'Too large', advice: 'Have the producer send less data: at most 256 KiB are accepted.' },
  invalid_json: { title: 'Not JSON', advice: 'The body is not a JSON object. Have the producer correct it.' },
  missing_field: { title: 'Missing field', advice: 'brandId, type or data is missing. Have the producer add it.' },
  missing_id: { title: 'Missing id', advice: 'Have the producer set id or the property message_id.' },
  invalid_id: { title: 'Invalid id', advice: 'id must be a ULID. Have the producer correct it.' },
  invalid_message_id: { title: 'Invalid message id', advice: 'message_id must have 1 to 128 characters.' },
  invalid_brand_id: { title: 'Invalid brand id', advice: 'Have the producer correct brandId.' },
  invalid_type: { title: 'Invalid event type', advice: 'Have the producer correct type.' },
  invalid_key: { title: 'Invalid key', advice: 'key must have at most 128 characters.' },
  invalid_created: { title: 'Invalid created', advice: 'created must be an RFC 3339 time.' },
  created_out_of_range: { title: 'Created is out of range', advice: 'created must be within the retention period and not in the future.' },
  built_in_type: { title: 'Built-in type', advice: 'Only Postrider publishes this type. Have the producer use another one.' },
  unreadable: { title: 'Unreadable message', advice: 'Its properties or headers cannot be read. Have the producer correct them.' },
  expired: { title: 'Expired', advice: 'The expiration of the message passed before it was routed. Republish it if it still matters.' },
  poison: { title: 'Came back unhandled', advice: 'Routers took it several times and none handled it. See the runbook before you republish it.' },
};

export const explainReason = (reason: string | null): Explanation =>
  REASONS[reason ?? ''] ?? { title: reason ? humanize(reason) : 'Unknown reason', advice: '' };

/** Identifies a group among the others. */
export const groupKey = ({ brandId, reason, type }: RejectedGroup): string => JSON.stringify([brandId, reason, type ?? null]);

interface Filter {
  brandId: string | null;
  reason: string | null;
  type: string | null;
}

/** The groups that a filter covers. A group without a brand or type has none to filter by, so its filter covers others, too. */
export const coveredBy = (filter: Filter, groups: readonly RejectedGroup[]): RejectedGroup[] =>
  groups.filter(
    ({ brandId, reason, type }) =>
      (filter.brandId === null || filter.brandId === brandId) &&
      (filter.reason === null || filter.reason === reason) &&
      (filter.type === null || filter.type === (type ?? null)),
  );

/** The page that fixes the cause of a group, if the console has one. */
export function fixOf({ reason, brandId, type }: RejectedGroup): { label: string; path: string } | null {
  if (reason === 'unknown_type' && type) return { label: 'Add the type', path: `/catalogue/${encodeURIComponent(type)}` };
  if (reason === 'schema_violation' && type) return { label: 'Open the schema', path: `/catalogue/${encodeURIComponent(type)}` };
  if (reason === 'unknown_brand' && brandId) return { label: 'Create the brand', path: `/brands?new=${encodeURIComponent(brandId)}` };
  return null;
}

/** The type in the body of a rejected message, if the body can be read. */
export function typeOfBody(body: string): string | null {
  try {
    const type = (JSON.parse(body) as { type?: unknown } | null)?.type;
    return typeof type === 'string' ? type : null;
  } catch {
    return null;
  }
}
