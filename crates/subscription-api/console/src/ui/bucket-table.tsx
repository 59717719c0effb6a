// The exact numbers of a plot, for readers who cannot see it or need them.

import type { StatsBucket } from '../api/types';
import { seriesOf } from '../lib/chart';
import { exactCount, millis, shortTime } from '../lib/format';
import { countOutcomes, sumBuckets } from '../lib/stats';
import { zoneName } from '../lib/zone';
import { useState } from 'preact/hooks';
import { Table, type Column } from './table';

function columnsOf(buckets: readonly StatsBucket[]): Column<StatsBucket>[] {
  return [
    { head: `From (${zoneName(buckets[0]?.at)})`, cell: (bucket) => shortTime(bucket.at), names: true },
    ...seriesOf(buckets).map((series) => ({
      head: series.label,
      cell: (bucket: StatsBucket) => exactCount(countOutcomes(bucket, series)),
      end: true,
    })),
    { head: 'p50', cell: (bucket) => millis(bucket.latencyMs.p50), end: true },
    { head: 'p90', cell: (bucket) => millis(bucket.latencyMs.p90), end: true },
    { head: 'p99', cell: (bucket) => millis(bucket.latencyMs.p99), end: true },
  ];
}

export function BucketTable({ buckets }: { buckets: readonly StatsBucket[] }) {
  const [open, setOpen] = useState(false);
  if (sumBuckets(buckets).attempts === 0) return null;
  const busy = buckets.filter((bucket) => bucket.attempts > 0);
  return (
    <details class="figures" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>Figures as a table</summary>
      {open && (
        <div class="figures-box" role="region" aria-label="Figures" tabIndex={0}>
          <Table label="Statistics" columns={columnsOf(busy)} rows={busy} keyOf={(bucket) => bucket.at} />
        </div>
      )}
    </details>
  );
}
