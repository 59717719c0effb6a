// A button that saves a whole list as CSV, with the filters of the page, however much of it is shown.

import { useEffect, useRef } from 'preact/hooks';
import type { Page } from '../api/types';
import { toCsv, type CsvColumn } from '../lib/csv';
import { download } from '../lib/download';
import { pluralize } from '../lib/format';
import { announce } from './announce';
import { Button, ProblemNote } from './basics';
import { useRun } from './dialog';

/** Page size: the largest that the API has, so that few requests are needed. */
const PAGE = 1000;
/** Maximum number of rows of a file. More would keep the API busy for long; the API itself has no bound. */
const MAX_ROWS = 10_000;
/** Maximum number of requests. With a rare filter, a page may have few rows or none although more follow. */
const MAX_PAGES = 100;

interface Props<T> {
  /** The name of the file, which the day follows. */
  file: string;
  columns: readonly CsvColumn<T>[];
  read: (cursor: string | null, limit: number, signal: AbortSignal) => Promise<Page<T>>;
  /** The filter of the page that the API does not have. */
  wanted?: (row: T) => boolean;
}

export function ExportCsv<T>({ file, columns, read, wanted = () => true }: Props<T>) {
  const running = useRef<AbortController | null>(null);
  const cancel = () => running.current?.abort();
  useEffect(() => cancel, []);
  const { busy, problem, go } = useRun(async () => {
    const { signal } = (running.current = new AbortController());
    try {
      const { rows, more } = await readAll(read, wanted, signal);
      const day = new Date().toISOString().slice(0, 10);
      download(toCsv(columns, rows), `${file}-${day}${more ? '-incomplete' : ''}.csv`);
      announce(`${pluralize(rows.length, 'row')} exported.${more ? ' The list has more: narrow it with filters.' : ''}`);
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  });
  return (
    <>
      <Button onClick={go} busy={busy}>
        Export CSV
      </Button>
      {busy && <Button onClick={cancel}>Cancel the export</Button>}
      <ProblemNote problem={problem} />
    </>
  );
}

async function readAll<T>(read: Props<T>['read'], wanted: (row: T) => boolean, signal: AbortSignal) {
  const rows: T[] = [];
  let cursor: string | null = null;
  let pages = 0;
  do {
    const page: Page<T> = await read(cursor, PAGE, signal);
    signal.throwIfAborted();
    rows.push(...page.items.filter(wanted));
    cursor = page.nextCursor;
    pages += 1;
  } while (cursor !== null && rows.length < MAX_ROWS && pages < MAX_PAGES);
  return { rows, more: cursor !== null };
}
