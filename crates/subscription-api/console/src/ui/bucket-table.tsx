// The exact numbers of a plot, for readers who cannot see it or need them.

import type { StatsBucket } from '../api/types';
import { exactCount, localTime, millis } from '../lib/format';
import { SERIES, countOutcomes } from '../lib/stats';
import { useState } from 'preact/hooks';
import { Table, type Column } from './table';

const columns: Column<StatsBucket>[] = [
  { head: 'From', cell: (bucket) => localTime(bucket.at), names: true },
  ...SERIES.map((series) => ({
    head: series.label,
    cell: (bucket: StatsBucket) => exactCount(countOutcomes(bucket, series)),
    end: true,
  })),
  { head: 'p50', cell: (bucket) => millis(bucket.latencyMs.p50), end: true },
  { head: 'p99', cell: (bucket) => millis(bucket.latencyMs.p99), end: true },
];

export function BucketTable({ buckets }: { buckets: readonly StatsBucket[] }) {
  const [open, setOpen] = useState(false);
  const busy = buckets.filter((bucket) => bucket.attempts > 0);
  return (
    <details class="figures" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>Show as table</summary>
      {open && busy.length > 0 && <Table label="Statistics" columns={columns} rows={busy} keyOf={(bucket) => bucket.at} />}
      {open && busy.length === 0 && <p class="muted">No attempts in this period.</p>}
    </details>
  );
}
