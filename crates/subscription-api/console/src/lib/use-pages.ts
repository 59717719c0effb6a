// A list that is read page by page, as far as the reader scrolls. "Back" shows the pages that were read already.

import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { Problem, toProblem } from '../api/problem';
import { writeCount } from '../api/client';
import type { Page } from '../api/types';
import { keep, recall } from './places';

export interface Pages<T> {
  items: T[];
  /** Whether the first page was read. */
  ready: boolean;
  /** Whether the API has more pages. */
  more: boolean;
  busy: boolean;
  problem: Problem | null;
  next: () => void;
  reload: () => Promise<void>;
  /** Changes the items without a request. */
  edit: (change: (items: T[]) => T[]) => void;
}

interface State<T> {
  key: string;
  items: T[];
  cursor: string | null;
  ready: boolean;
  busy: boolean;
  problem: Problem | null;
}

interface Kept<T> {
  state: State<T>;
  /** The number of changes that this tab had sent. */
  writes: number;
}

/**
 * Reads a list. "Back" shows what was read, unless this tab changed something since; a list that `follows` its newest
 * rows by polling is shown in any case.
 */
export function usePages<T>(
  load: (cursor: string | null, signal: AbortSignal) => Promise<Page<T>>,
  dependencies: readonly unknown[],
  { follows = false }: { follows?: boolean } = {},
): Pages<T> {
  const key = JSON.stringify(dependencies);
  const kept = () => {
    const found = recall<Kept<T>>(`pages ${key}`);
    return found && (follows || found.writes === writeCount()) ? found.state : undefined;
  };
  const blank: State<T> = { key, items: [], cursor: null, ready: false, busy: true, problem: null };
  const [state, setState] = useState<State<T>>(() => kept() ?? blank);
  const latest = useRef(load);
  latest.current = load;
  const running = useRef<AbortController | null>(null);

  const read = useCallback(
    async (cursor: string | null) => {
      running.current?.abort();
      const own = new AbortController();
      running.current = own;
      setState((old) => (old.key === key ? { ...old, busy: true } : blank));
      try {
        const page = await latest.current(cursor, own.signal);
        if (own.signal.aborted) return;
        setState((old) => {
          const items = cursor === null ? page.items : [...old.items, ...page.items];
          return { key, items, cursor: page.nextCursor, ready: true, busy: false, problem: null };
        });
      } catch (error) {
        if (own.signal.aborted) return;
        setState((old) => ({ ...old, busy: false, problem: toProblem(error) }));
      } finally {
        if (running.current === own) running.current = null;
      }
    },
    [key],
  );

  useEffect(() => {
    // Rows that were read before stay; a list that follows its newest rows notices the rest.
    const found = kept();
    if (!found) void read(null);
    else setState((old) => (old.key === key ? old : found));
    return () => running.current?.abort();
  }, [read]);
  useEffect(() => {
    if (state.key === key && state.ready) keep(`pages ${key}`, { state: { ...state, busy: false, problem: null }, writes: writeCount() });
  }, [state, key]);

  const shown = state.key === key ? state : blank;
  const next = useCallback(() => {
    if (running.current || shown.cursor === null) return;
    void read(shown.cursor);
  }, [read, shown.cursor]);
  const reload = useCallback(() => read(null), [read]);
  const edit = useCallback(
    (change: (items: T[]) => T[]) =>
      setState((old) => (old.key === key ? { ...old, items: change(old.items) } : old)),
    [key],
  );
  const { items, ready, busy, problem } = shown;
  return { items, ready, busy, problem, more: shown.cursor !== null, next, reload, edit };
}
