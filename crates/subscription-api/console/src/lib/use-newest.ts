// Keeps a list that shows the newest events first up to date without moving it. Existing rows change in
// place, and new events wait until the reader shows them.

import { useEffect, useState } from 'preact/hooks';
import type { EventRow, Page } from '../api/types';
import type { Pages } from './use-pages';
import { usePolling } from './use-resource';

const POLL_INTERVAL_MS = 4000;
/** Maximum number of new events that are counted. Beyond it the button only says that there are many. */
const NEWEST = 100;
/** Length of the part of the list that can hold the newest events. Rows after it are not compared. */
const HEAD = 2 * NEWEST;
/** Maximum number of rows that are read one by one because they no longer match the filter. */
const MAX_LEFT = 20;

export interface Newest {
  count: number;
  /** Whether there may be more new events than `count`. */
  more: boolean;
  show: () => void;
}

export function useNewest(
  pages: Pages<EventRow>,
  load: (limit: number) => Promise<Page<EventRow>>,
  read: (id: string) => Promise<EventRow>,
  key: string,
): Newest {
  const [fresh, setFresh] = useState<EventRow[]>([]);
  useEffect(() => setFresh([]), [key]);

  const poll = async () => {
    if (!pages.ready) return;
    try {
      const page = await load(NEWEST);
      const found = new Map(page.items.map((row) => [row.id, row]));
      for (const row of await Promise.all(findLeft(pages.items.slice(0, HEAD), page).map((row) => read(row.id)))) found.set(row.id, row);
      pages.edit((items) => replaceChanged(items, found));
      const known = new Set(pages.items.slice(0, HEAD).map((row) => row.id));
      const fresh = page.items.filter((row) => !known.has(row.id));
      // An empty list shows its first events at once, because nothing can move.
      if (pages.items.length === 0 && fresh.length > 0) {
        pages.edit((items) => [...fresh.filter((row) => !items.some(({ id }) => id === row.id)), ...items]);
      } else setFresh(fresh);
    } catch {
      // The next poll may succeed. The list itself reports when it cannot be read.
    }
  };
  usePolling(poll, POLL_INTERVAL_MS);

  const more = fresh.length === NEWEST;
  const show = () => {
    if (more) void pages.reload();
    else {
      pages.edit((items) => {
        const known = new Set(items.slice(0, HEAD).map((row) => row.id));
        return [...fresh.filter((row) => !known.has(row.id)), ...items];
      });
    }
    setFresh([]);
  };
  return { count: fresh.length, more, show };
}

/**
 * Finds rows that the newest page should contain but does not, because their status no longer matches the
 * filter. They stay in the list and show their new status.
 */
function findLeft(items: readonly EventRow[], { items: newest, nextCursor }: Page<EventRow>): EventRow[] {
  const last = newest.at(-1)?.created ?? '';
  const ids = new Set(newest.map((row) => row.id));
  const isCovered = (row: EventRow) => nextCursor === null || row.created > last;
  const isDelivered = (row: EventRow) => row.delivery.status === 'delivered';
  return items.filter((row) => isCovered(row) && !ids.has(row.id) && !isDelivered(row)).slice(0, MAX_LEFT);
}

/** Replaces changed rows. If none changed, it returns the same array, so that nothing is rendered again. */
function replaceChanged(items: EventRow[], found: Map<string, EventRow>): EventRow[] {
  let any = false;
  const head = items.slice(0, HEAD).map((row) => {
    const now = found.get(row.id);
    if (!now || JSON.stringify(now.delivery) === JSON.stringify(row.delivery)) return row;
    any = true;
    return now;
  });
  return any ? [...head, ...items.slice(HEAD)] : items;
}
