// A table that becomes a list of cards on narrow screens. All roles are explicit, because some screen
// readers ignore a table whose CSS display is changed. Columns with a `sort` can be sorted by their head.

import type { ComponentChildren } from 'preact';
import { useMemo } from 'preact/hooks';
import { parseOrder, sortRows, type SortValue } from '../lib/sort';
import { setQuery, where } from '../router';
import { Icon } from './icon';

export interface Column<T> {
  head: string;
  cell: (row: T) => ComponentChildren;
  end?: boolean;
  /** Whether this column is the header of the row. */
  names?: boolean;
  /** The value that the column sorts by; null comes last in both directions. */
  sort?: (row: T) => SortValue;
  /** Extra class of the cells. */
  class?: string;
}

interface TableProps<T> {
  label: string;
  columns: readonly Column<T>[];
  rows: readonly T[];
  keyOf: (row: T) => string;
  /** The query parameter that holds the order, such as `sort`; without it, heads do not sort. */
  sortBy?: string;
  /** Extra class of a row, such as a tone. */
  rowClass?: (row: T) => string | undefined;
}

export function Table<T>({ label, columns, rows, keyOf, sortBy, rowClass }: TableProps<T>) {
  const given = sortBy ? (where.value.query.get(sortBy) ?? '') : '';
  const order = parseOrder(given);
  const column = columns.find(({ head, sort }) => sort && order && slug(head) === order.by);
  const sorted = useMemo(() => (column?.sort && order ? sortRows(rows, column.sort, order.descending) : rows), [rows, given, column?.head]);
  return (
    <table class="table" role="table" aria-label={label}>
      <thead role="rowgroup">
        <tr role="row">
          {columns.map((one) => (
            <Head key={one.head} column={one} sortBy={sortBy} direction={one === column ? (order?.descending ? 'descending' : 'ascending') : undefined} />
          ))}
        </tr>
      </thead>
      <tbody role="rowgroup">
        {sorted.map((row) => (
          <tr key={keyOf(row)} role="row" class={rowClass?.(row)}>
            {columns.map(({ head, cell, end, names, class: extra }) => {
              const name = [end && 'end', extra].filter(Boolean).join(' ') || undefined;
              return names ? (
                <th key={head} role="rowheader" scope="row" data-label={head} class={name}>
                  {cell(row)}
                </th>
              ) : (
                <td key={head} role="cell" data-label={head} class={name}>
                  {cell(row)}
                </td>
              );
            })}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

const slug = (head: string) => head.toLowerCase().replace(/[^a-z0-9]+/g, '-');

function Head<T>({ column: { head, end, sort, class: extra }, sortBy, direction }: {
  column: Column<T>;
  sortBy: string | undefined;
  direction: 'ascending' | 'descending' | undefined;
}) {
  const by = slug(head);
  // First ascending, then descending, then as the API sends them.
  const next = direction === undefined ? by : direction === 'ascending' ? `-${by}` : '';
  return (
    <th role="columnheader" scope="col" class={[end && 'end', extra].filter(Boolean).join(' ') || undefined} aria-sort={direction}>
      {sort && sortBy ? (
        <button type="button" class="sort" onClick={() => setQuery({ [sortBy]: next })}>
          {head}
          {direction && <Icon name={direction === 'ascending' ? 'up' : 'down'} />}
        </button>
      ) : (
        head
      )}
    </th>
  );
}
