// A list of rows of equal height that renders only the visible ones, so that fifty thousand rows cost as
// little as thirty. It loads the next page before the reader reaches the end.

import type { ComponentChildren } from 'preact';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { keep, recall } from '../lib/places';

/** Rows that are rendered beyond each edge. */
const MARGIN = 12;
/** Distance from the end, in rows, at which the next page is loaded. */
const AHEAD = 150;

interface Props<T> {
  label: string;
  heads: ComponentChildren;
  items: readonly T[];
  keyOf: (item: T) => string;
  more: boolean;
  next: () => void;
  columns: number;
  children: (item: T, index: number) => ComponentChildren;
}

export function VirtualList<T>({ label, heads, items, keyOf, more, next, columns, children }: Props<T>) {
  const box = useRef<HTMLDivElement>(null);
  const [rowHeight, setRowHeight] = useState(44);
  const [span, setSpan] = useState({ top: 0, height: 600 });

  useLayoutEffect(() => {
    const measure = () => {
      if (!box.current) return;
      setRowHeight(parseFloat(getComputedStyle(box.current).getPropertyValue('--row')) || 44);
      setSpan({ top: box.current.scrollTop, height: box.current.clientHeight });
    };
    measure();
    const observer = new ResizeObserver(measure);
    if (box.current) observer.observe(box.current);
    return () => observer.disconnect();
  }, []);

  // "Back" shows the rows that the reader saw, once the rows have their height.
  const place = useRef(recall<number>(`rows ${label}`) ?? 0);
  useLayoutEffect(() => {
    if (!box.current || place.current === 0) return;
    box.current.scrollTop = place.current;
    if (Math.abs(box.current.scrollTop - place.current) < 2) place.current = 0;
  }, [rowHeight, items.length]);

  const first = Math.max(0, Math.floor(span.top / rowHeight) - MARGIN);
  const last = Math.min(items.length, Math.ceil((span.top + span.height) / rowHeight) + MARGIN);

  useEffect(() => {
    if (more && last + AHEAD >= items.length) next();
  }, [more, last, items.length, next]);

  const scroll = () => {
    if (!box.current) return;
    if (place.current === 0) keep(`rows ${label}`, box.current.scrollTop);
    setSpan({ top: box.current.scrollTop, height: box.current.clientHeight });
  };

  /** Moves the focus from row to row with the up and down keys. */
  const keys = (event: KeyboardEvent) => {
    const step = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0;
    const row = (event.target as HTMLElement).closest<HTMLElement>('[data-index]');
    if (!step || !row || !box.current) return;
    const wanted = Number(row.dataset['index']) + step;
    const link = box.current.querySelector<HTMLElement>(`[data-index="${wanted}"] a`);
    if (!link) return;
    event.preventDefault();
    link.focus();
  };

  return (
    <div
      class="virtual"
      ref={box}
      role="table"
      tabIndex={0}
      aria-label={label}
      aria-rowcount={more ? -1 : items.length + 1}
      aria-colcount={columns}
      onScroll={scroll}
      onKeyDown={keys}
    >
      <div class="virtual-heads" role="rowgroup">
        <div class="virtual-row" role="row" aria-rowindex={1}>
          {heads}
        </div>
      </div>
      <div class="virtual-space" role="rowgroup" style={{ height: `${items.length * rowHeight}px` }}>
        {items.slice(first, last).map((item, n) => (
          <div
            key={keyOf(item)}
            class="virtual-row"
            role="row"
            data-index={first + n}
            aria-rowindex={first + n + 2}
            style={{ transform: `translateY(${(first + n) * rowHeight}px)` }}
          >
            {children(item, first + n)}
          </div>
        ))}
      </div>
    </div>
  );
}
