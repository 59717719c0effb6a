// A list that is read page by page, as far as the reader scrolls.

import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { Problem, toProblem } from '../api/problem';
import type { Page } from '../api/types';

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

export function usePages<T>(
  load: (cursor: string | null, signal: AbortSignal) => Promise<Page<T>>,
  dependencies: readonly unknown[],
): Pages<T> {
  const key = JSON.stringify(dependencies);
  const blank: State<T> = { key, items: [], cursor: null, ready: false, busy: true, problem: null };
  const [state, setState] = useState(blank);
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
    void read(null);
    return () => running.current?.abort();
  }, [read]);

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
