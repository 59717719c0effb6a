// A resource of the API that is kept up to date. The old data stays visible during a new request, so that
// nothing flickers, and an error is shown beside it.

import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { Problem, toProblem } from '../api/problem';
import { paused, refreshedAt } from './clock';

export interface Resource<T> {
  data: T | null;
  problem: Problem | null;
  reload: () => Promise<void>;
  /** Replaces the data with the response to a change, without another request. */
  set: (data: T) => void;
}

interface Settings<T> {
  /** Polling interval in milliseconds while the page is visible. */
  every?: number | undefined;
  /** Whether the data is unlikely to change, so that `quietEvery` is enough. */
  isQuiet?: (data: T) => boolean;
  quietEvery?: number;
}

/** How soon a page without live figures tries again when the API was away. */
const RETRY_INTERVAL_MS = 5000;

export function useResource<T>(
  load: (signal: AbortSignal) => Promise<T>,
  dependencies: readonly unknown[],
  { every, isQuiet, quietEvery }: Settings<T> = {},
): Resource<T> {
  const key = JSON.stringify(dependencies);
  const [state, setState] = useState<{ key: string; data: T | null; problem: Problem | null }>({
    key,
    data: null,
    problem: null,
  });
  const latest = useRef(load);
  latest.current = load;
  const running = useRef<AbortController | null>(null);

  const reload = useCallback(async () => {
    running.current?.abort();
    const own = new AbortController();
    running.current = own;
    try {
      const data = await latest.current(own.signal);
      if (own.signal.aborted) return;
      setState({ key, data, problem: null });
      if (every) refreshedAt.value = Date.now();
    } catch (error) {
      if (own.signal.aborted) return;
      const problem = toProblem(error);
      setState((old) => ({ key, data: old.key === key ? old.data : null, problem }));
    } finally {
      if (running.current === own) running.current = null;
    }
  }, [key]);

  useEffect(() => {
    void reload();
    return () => running.current?.abort();
  }, [reload]);

  const quiet = quietEvery !== undefined && state.key === key && state.data !== null && isQuiet?.(state.data);
  usePolling(reload, quiet ? quietEvery : every);
  const isAway = state.problem !== null && state.problem.retries && !every;
  usePolling(reload, isAway ? RETRY_INTERVAL_MS : undefined);

  const set = useCallback((data: T) => setState({ key, data, problem: null }), [key]);
  const own = state.key === key;
  return { data: own ? state.data : null, problem: own ? state.problem : null, reload, set };
}

/** Calls `work` repeatedly, one call at a time, while the page is visible and the reader has not paused the refresh. */
export function usePolling(work: () => Promise<void>, every: number | undefined): void {
  const latest = useRef(work);
  latest.current = work;
  useEffect(() => {
    if (!every) return;
    let timer = 0;
    let over = false;
    const poll = async () => {
      if (!document.hidden && !paused.peek()) await latest.current();
      if (!over) timer = setTimeout(poll, every);
    };
    const onVisible = () => {
      if (document.hidden || paused.peek()) return;
      clearTimeout(timer);
      void poll();
    };
    timer = setTimeout(poll, every);
    document.addEventListener('visibilitychange', onVisible);
    return () => {
      over = true;
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', onVisible);
    };
  }, [every]);
}
