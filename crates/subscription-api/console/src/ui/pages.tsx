// A paged list: its items, its loading state, and the button that loads more.

import type { ComponentChildren } from 'preact';
import type { Pages } from '../lib/use-pages';
import { Button, ProblemNote, Loading } from './basics';

interface Props<T> {
  pages: Pages<T>;
  empty: ComponentChildren;
  children: (items: T[]) => ComponentChildren;
}

export function PagedList<T>({ pages, empty, children }: Props<T>) {
  const { items, ready, more, busy, problem, next, reload } = pages;
  return (
    <>
      <ProblemNote problem={problem} retry={ready ? next : reload} />
      {!ready && !problem && <Loading />}
      {ready && (items.length > 0 ? children(items) : empty)}
      {more && (
        <div class="more">
          <Button onClick={next} busy={busy}>
            Show more
          </Button>
        </div>
      )}
    </>
  );
}
