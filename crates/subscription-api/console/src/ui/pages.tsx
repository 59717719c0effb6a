// A paged list: its items, its loading state, and the button that loads more.

import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import type { Pages } from '../lib/use-pages';
import { Button, ProblemNote, Loading } from './basics';

/** How many pages without a match are read by themselves. With a filter, the API may send short pages. */
const MAX_EMPTY_PAGES = 10;

interface Props<T> {
  pages: Pages<T>;
  empty: ComponentChildren;
  children: (items: T[]) => ComponentChildren;
}

export function PagedList<T>({ pages, empty, children }: Props<T>) {
  const { items, ready, more, busy, problem, next, reload } = pages;
  const read = useRef(0);
  const isSearching = ready && items.length === 0 && more && !problem;
  useEffect(() => {
    if (items.length > 0 || !more) read.current = 0;
    if (!isSearching || busy || read.current >= MAX_EMPTY_PAGES) return;
    read.current += 1;
    next();
  }, [isSearching, busy, items.length, more, next]);
  return (
    <>
      <ProblemNote problem={problem} retry={ready ? next : reload} />
      {((!ready && !problem) || (isSearching && busy)) && <Loading />}
      {ready && (items.length > 0 ? children(items) : more ? !busy && <p class="muted">Nothing was found so far.</p> : empty)}
      {more && (
        <div class="more">
          <Button onClick={next} busy={busy}>
            {items.length > 0 ? 'Show more' : 'Search further'}
          </Button>
        </div>
      )}
    </>
  );
}
