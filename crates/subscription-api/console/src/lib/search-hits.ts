// Turns the answer of the search into the lines of the list below the field.

import type { SearchResults } from '../api/types';
import type { IconName } from '../ui/icon';
import { humanize } from './words';

export interface Hit {
  key: string;
  to: string;
  icon: IconName;
  title: string;
  note?: string;
  mono?: boolean;
  /** A word about the state, such as `Rejected`. */
  state?: string;
  tone?: 'good' | 'bad' | 'warn' | 'idle' | 'info' | undefined;
}

export interface HitGroup {
  label: string;
  hits: Hit[];
}

const part = encodeURIComponent;
const ULID = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/i;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Whether a text is a whole ULID, so that it can be opened without a search. */
export const isFullId = (text: string): boolean => ULID.test(text);

const STATE_TONES: Record<string, Hit['tone']> = { rejected: 'bad', not_enabled: 'warn', no_webhook: 'idle', routed: 'good', active: 'good', paused: 'idle', disabled: 'bad' };

/** `pages` are the pages of the navigation; `brand` is that of a brand's token. */
export function findHits(
  q: string,
  found: SearchResults | null,
  pages: readonly (readonly [path: string, label: string])[],
  support: boolean,
  brand: string | null,
): HitGroup[] {
  const groups: HitGroup[] = [
    { label: 'Events', hits: [...(found?.events ?? []).map(eventHit), ...idHits(q, found, support, brand)] },
    { label: 'Webhooks', hits: (found?.webhooks ?? []).map(webhookHit) },
    { label: 'Brands', hits: (found?.brands ?? []).map(({ brandId, name }) => ({ key: `brand ${brandId}`, to: `/brands/${part(brandId)}`, icon: 'brand' as const, title: name, note: brandId })) },
    { label: 'Event types', hits: (found?.eventTypes ?? []).map((entry) => typeHit(entry, support, brand)) },
    // Enter opens the first result, so a guess comes after everything that was found.
    { label: 'Event by message id', hits: messageIdHits(q, found, support) },
    { label: 'Pages', hits: pageHits(q, pages) },
  ];
  return groups.filter(({ hits }) => hits.length > 0);
}

/** An id that the search did not find can still be looked up, for example right after it was published. */
function idHits(q: string, found: SearchResults | null, support: boolean, brand: string | null): Hit[] {
  const known = found?.events.some(({ id }) => id.toUpperCase() === q.toUpperCase());
  if (known || !ULID.test(q)) return [];
  const to = support ? `/events/${part(q)}` : `/brands/${part(brand ?? '')}/events/${part(q.toUpperCase())}`;
  return [{ key: 'direct', to, icon: 'search', title: q, note: support ? 'Look it up as an event id or message id' : 'Look it up as an event id', mono: true }];
}

/** Support can look up message ids, which may be any text without spaces; UUIDs are webhooks more often. */
function messageIdHits(q: string, found: SearchResults | null, support: boolean): Hit[] {
  const isPossible = support && found !== null && found.events.length === 0 && /^\S{6,128}$/.test(q) && /\d/.test(q) && !UUID.test(q) && !ULID.test(q);
  return isPossible ? [{ key: 'message id', to: `/events/${part(q)}`, icon: 'search', title: q, note: 'Look it up as a message id', mono: true }] : [];
}

function eventHit({ id, brandId, type, key, disposition }: SearchResults['events'][number]): Hit {
  return {
    key: `event ${brandId} ${id}`,
    to: `/brands/${part(brandId)}/events/${part(id)}`,
    icon: 'event',
    title: id,
    mono: true,
    note: [type, key && `key ${key}`, brandId].filter(Boolean).join(' · '),
    state: humanize(disposition),
    tone: STATE_TONES[disposition],
  };
}

function webhookHit({ id, brandId, endpoint, description, status }: SearchResults['webhooks'][number]): Hit {
  return {
    key: `webhook ${id}`,
    to: `/brands/${part(brandId)}/webhooks/${part(id)}`,
    icon: 'webhook',
    title: description || endpoint,
    note: description ? `${endpoint} · ${brandId}` : brandId,
    state: humanize(status),
    tone: STATE_TONES[status],
  };
}

function typeHit({ type, description }: SearchResults['eventTypes'][number], support: boolean, brand: string | null): Hit {
  const to = support ? `/catalogue/${part(type)}` : `/brands/${part(brand ?? '')}/event-types`;
  return { key: `type ${type}`, to, icon: 'type', title: type, note: description, mono: true };
}

/** Pages whose name has a word that begins with the text; all of them while the field is empty. */
function pageHits(q: string, pages: readonly (readonly [string, string])[]): Hit[] {
  const typed = q.toLowerCase();
  const fits = (label: string) => label.toLowerCase().split(' ').some((word) => word.startsWith(typed)) || label.toLowerCase().startsWith(typed);
  return pages.filter(([, label]) => fits(label)).map(([path, label]) => ({ key: `page ${path}`, to: path, icon: 'right' as const, title: label }));
}
