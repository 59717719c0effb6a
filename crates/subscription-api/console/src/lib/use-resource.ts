// Something read from the API and kept up to date. What was there stays while it is read again, so
// that nothing blinks; a failure is told beside it.

import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { Problem, problemOf } from '../api/problem';

export interface Resource<T> {
  data: T | null;
  problem: Problem | null;
  reload: () => Promise<void>;
  /** Puts in what a change answered, without asking again. */
  set: (data: T) => void;
}

interface Settings {
  /** How often it is read again while somebody looks, in milliseconds. */
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
      const problem = problemOf(error);
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

/** Calls `work` again and again, one after another, while the page is looked at. */
export function usePolling(work: () => Promise<void>, every: number | undefined): void {
  const latest = useRef(work);
  latest.current = work;
  useEffect(() => {
    if (!every) return;
    let timer = 0;
    let over = false;
    const turn = async () => {
      if (!document.hidden) await latest.current();
      if (!over) timer = setTimeout(turn, every);
    };
    const lookedAt = () => {
      if (document.hidden) return;
      clearTimeout(timer);
      void turn();
    };
    timer = setTimeout(turn, every);
    document.addEventListener('visibilitychange', lookedAt);
    return () => {
      over = true;
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', lookedAt);
    };
  }, [every]);
}
