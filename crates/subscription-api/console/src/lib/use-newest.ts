// Keeps a list that shows the newest first up to date without moving it: rows that are there change
// in place, and new ones wait until they are asked for.

import { useEffect, useState } from 'preact/hooks';
import type { EventRow, Page } from '../api/types';
import type { Pages } from './use-pages';
import { usePolling } from './use-resource';

const POLL_INTERVAL_MS = 4000;
/** New events that are told as a number; beyond it is said that there are more. */
const NEWEST = 100;
/** Where the newest rows can stand in the list: what comes after need not be looked at. */
const HEAD = 2 * NEWEST;
/** Rows that left the list, and are looked at one by one. */
const MAX_LEFT = 20;

export interface Newest {
  count: number;
  /** Whether there are more new ones than are at hand. */
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

  const look = async () => {
    if (!pages.ready) return;
    try {
      const page = await load(NEWEST);
      const found = new Map(page.items.map((row) => [row.id, row]));
      for (const row of await Promise.all(left(pages.items.slice(0, HEAD), page).map((row) => read(row.id)))) found.set(row.id, row);
      pages.edit((items) => changed(items, found));
      const known = new Set(pages.items.slice(0, HEAD).map((row) => row.id));
      setFresh(page.items.filter((row) => !known.has(row.id)));
    } catch {
      // The next look may go better; the list itself says when it cannot be read.
    }
  };
  usePolling(look, POLL_INTERVAL_MS);

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
 * Rows that should be in the newest page and are not: their state is no longer the one that is asked
 * for. They stay where they are, with what they became.
 */
function left(items: readonly EventRow[], { items: newest, nextCursor }: Page<EventRow>): EventRow[] {
  const last = newest.at(-1)?.created ?? '';
  const ids = new Set(newest.map((row) => row.id));
  const covered = (row: EventRow) => nextCursor === null || row.created > last;
  const settled = (row: EventRow) => row.delivery.status === 'delivered';
  return items.filter((row) => covered(row) && !ids.has(row.id) && !settled(row)).slice(0, MAX_LEFT);
}

/** The same rows where nothing changed, so that nothing is drawn for nothing. */
function changed(items: EventRow[], found: Map<string, EventRow>): EventRow[] {
  let any = false;
  const head = items.slice(0, HEAD).map((row) => {
    const now = found.get(row.id);
    if (!now || JSON.stringify(now.delivery) === JSON.stringify(row.delivery)) return row;
    any = true;
    return now;
  });
  return any ? [...head, ...items.slice(HEAD)] : items;
}
