// A resource of the API that is kept up to date. The old data stays visible during a new request, so that
// nothing flickers, and an error is shown beside it.

import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { Problem, toProblem } from '../api/problem';

export interface Resource<T> {
  data: T | null;
  problem: Problem | null;
  reload: () => Promise<void>;
  /** Replaces the data with the response to a change, without another request. */
  set: (data: T) => void;
}

interface Settings {
  /** Polling interval in milliseconds while the page is visible. */
  every?: number | undefined;
}

export function useResource<T>(
  load: (signal: AbortSignal) => Promise<T>,
  dependencies: readonly unknown[],
  { every }: Settings = {},
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
      if (!own.signal.aborted) setState({ key, data, problem: null });
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

  usePolling(reload, every);

  const set = useCallback((data: T) => setState({ key, data, problem: null }), [key]);
  const own = state.key === key;
  return { data: own ? state.data : null, problem: own ? state.problem : null, reload, set };
}

/** Calls `work` repeatedly, one call at a time, while the page is visible. */
export function usePolling(work: () => Promise<void>, every: number | undefined): void {
  const latest = useRef(work);
  latest.current = work;
  useEffect(() => {
    if (!every) return;
    let timer = 0;
    let over = false;
    const poll = async () => {
      if (!document.hidden) await latest.current();
      if (!over) timer = setTimeout(poll, every);
    };
    const onVisible = () => {
      if (document.hidden) return;
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
