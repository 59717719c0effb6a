// The figures of a plot, for those who cannot see it or want them exactly.

import type { StatsStep } from '../api/types';
import { exactCount, localTime, millis } from '../lib/format';
import { SERIES, valueOf } from '../lib/stats';
import { useState } from 'preact/hooks';
import { Table, type Column } from './table';

const columns: Column<StatsStep>[] = [
  { head: 'From', cell: (step) => localTime(step.at), names: true },
  ...SERIES.map((series) => ({
    head: series.label,
    cell: (step: StatsStep) => exactCount(valueOf(step, series)),
    end: true,
  })),
  { head: 'p50', cell: (step) => millis(step.latencyMs.p50), end: true },
  { head: 'p99', cell: (step) => millis(step.latencyMs.p99), end: true },
];

export function StepTable({ steps }: { steps: readonly StatsStep[] }) {
  const [open, setOpen] = useState(false);
  const busy = steps.filter((step) => step.attempts > 0);
  return (
    <details class="figures" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>Figures as a table</summary>
      {open && busy.length > 0 && <Table label="Figures" columns={columns} rows={busy} keyOf={(step) => step.at} />}
      {open && busy.length === 0 && <p class="muted">No attempts in this time.</p>}
    </details>
  );
}
