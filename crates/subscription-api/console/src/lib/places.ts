// Places in the history. Each entry of the browser's history keeps the scroll position and what its lists had read,
// so that "back" leads to where the reader was. They are in memory alone, because they hold a brand's data.

import { signal } from '@preact/signals';
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';

/** Number of entries that keep their data: each may hold tens of thousands of rows. */
const MAX_KEPT = 8;
/** How long a page may take to reach its former height. */
const RESTORE_TIMEOUT_MS = 4000;

interface Place {
  scroll: number;
  data: Map<string, unknown>;
}

const places = new Map<string, Place>();
/** Whether the current entry was visited before, so that its page restores what it had. */
export const returned = signal(false);
let current = '';

const isBrowser = typeof history !== 'undefined';
const newKey = () => Math.random().toString(36).slice(2, 10);

/** The state of a new history entry. */
export const newEntry = (): { key: string } => ({ key: newKey() });

/** Makes the entry of `history.state` the current one. */
export function enter(): void {
  const state = history.state as { key?: string } | null;
  if (!state?.key) history.replaceState(newEntry(), '');
  current = (history.state as { key: string }).key;
  returned.value = places.has(current);
  const place = places.get(current) ?? { scroll: 0, data: new Map() };
  // The map is in the order of use; the least recently used entry goes first.
  places.delete(current);
  places.set(current, place);
  for (const key of places.keys()) {
    if (places.size <= MAX_KEPT) break;
    places.delete(key);
  }
}

/** Forgets everything, for the end of a session. */
export const forgetPlaces = (): void => places.clear();

export const recall = <T>(name: string): T | undefined => places.get(current)?.data.get(name) as T | undefined;
export const keep = (name: string, value: unknown): void => void places.get(current)?.data.set(name, value);

/** State that "back" brings back, such as the ticks of a list. */
export function useKept<T>(name: string, initial: T): [T, (value: T | ((old: T) => T)) => void] {
  const [value, setValue] = useState<T>(() => recall<T>(name) ?? initial);
  const latest = useRef(value);
  const entry = useRef(current);
  const set = useCallback((next: T | ((old: T) => T)) => {
    latest.current = typeof next === 'function' ? (next as (old: T) => T)(latest.current) : next;
    places.get(entry.current)?.data.set(name, latest.current);
    setValue(latest.current);
  }, []);
  return [value, set];
}

/** Scrolls a page to its start, or to where the reader left it once it is high enough again. */
export function useScrollPlace(path: string): void {
  useEffect(() => {
    const wanted = returned.peek() ? (places.get(current)?.scroll ?? 0) : 0;
    if (wanted === 0) {
      scrollTo(0, 0);
      return;
    }
    const begun = performance.now();
    let frame = 0;
    const stop = () => {
      cancelAnimationFrame(frame);
      removeEventListener('wheel', stop);
      removeEventListener('keydown', stop);
      removeEventListener('pointerdown', stop);
    };
    const attempt = () => {
      scrollTo(0, wanted);
      if (Math.abs(scrollY - wanted) < 2 || performance.now() - begun > RESTORE_TIMEOUT_MS) stop();
      else frame = requestAnimationFrame(attempt);
    };
    // The reader's own movement counts more than the old place.
    for (const name of ['wheel', 'keydown', 'pointerdown']) addEventListener(name, stop, { passive: true, once: true });
    attempt();
    return stop;
  }, [path]);
}

if (isBrowser) {
  history.scrollRestoration = 'manual';
  addEventListener('scroll', () => {
    const place = places.get(current);
    if (place) place.scroll = scrollY;
  }, { passive: true });
}
