// Plots of outcomes and latency over time. Each plot is also available as a table.

import { useEffect, useRef } from 'preact/hooks';
import uPlot, { type AlignedData, type Options } from 'uplot';
import 'uplot/dist/uPlot.min.css';
import type { StatsBucket } from '../api/types';
import { count, millis, span } from '../lib/format';
import { SERIES, sumBuckets, countOutcomes } from '../lib/stats';
import { colour, repaint } from '../lib/theme';
import { BucketTable } from './bucket-table';

const HEIGHT = 170;
const timeMark = new Intl.DateTimeFormat(undefined, { timeStyle: 'short' });
const dayMark = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' });

interface PlotProps {
  data: AlignedData;
  options: () => Omit<Options, 'width' | 'height'>;
  label: string;
  stepSeconds: number;
}

function Plot({ data, options, label, stepSeconds }: PlotProps) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const version = repaint.value;

  useEffect(() => {
    const target = box.current;
    if (!target) return;
    const made = new uPlot({ ...options(), width: Math.max(target.clientWidth, 200), height: HEIGHT }, data, target);
    plot.current = made;
    const observer = new ResizeObserver(() => {
      if (target.clientWidth > 0) made.setSize({ width: target.clientWidth, height: HEIGHT });
    });
    observer.observe(target);
    return () => {
      observer.disconnect();
      made.destroy();
    };
    // New data goes into the existing plot (see below). Only new colours or buckets need a new plot.
  }, [version, stepSeconds]);

  useEffect(() => plot.current?.setData(data), [data]);

  return <div class="plot" ref={box} role="img" aria-label={label} />;
}

function axes(values: (n: number) => string): NonNullable<Options['axes']> {
  const common = {
    stroke: colour('--muted'),
    grid: { stroke: colour('--line'), width: 1 },
    ticks: { stroke: colour('--line'), width: 1 },
    font: '12px system-ui, sans-serif',
  };
  // Times in the reader's locale, or dates if the marks are at least a day apart.
  const marks: uPlot.Axis.Values = (_, splits, _axis, _space, increment) =>
    splits.map((at) => (increment >= 86_400 ? dayMark : timeMark).format(new Date(at * 1000)));
  return [{ ...common, size: 30, space: 75, values: marks }, { ...common, size: 60, values: (_, splits) => splits.map((n) => (n === null ? '' : values(n))) }];
}

/** Scales from zero to the end of the last bucket, because its bar begins at the last time. */
function scales(stepSeconds: number, least: number): NonNullable<Options['scales']> {
  return {
    x: { range: (_, min, max) => [min, max + stepSeconds] },
    y: { range: (_, _min, max) => [0, Math.max(max * 1.08, least)] },
  };
}

const cursor = { points: { show: false }, drag: { x: false, y: false } };

/** Stacks the counts. The first series lies on top of all others. */
function stacked(buckets: readonly StatsBucket[]): AlignedData {
  const times = buckets.map((bucket) => Date.parse(bucket.at) / 1000);
  const layers = SERIES.map((_, n) =>
    buckets.map((bucket) => SERIES.slice(n).reduce((sum, series) => sum + countOutcomes(bucket, series), 0)),
  );
  return [times, ...layers];
}

export function OutcomePlot({ buckets, stepSeconds }: { buckets: readonly StatsBucket[]; stepSeconds: number }) {
  const all = sumBuckets(buckets);
  const label = `Attempts by outcome, every ${span(stepSeconds)}: ${count(all.delivered)} delivered, ${count(all.failed)} failed.`;
  const options = () => ({
    cursor,
    legend: { show: false },
    scales: scales(stepSeconds, 1),
    axes: axes((n) => (Number.isInteger(n) ? count(n) : '')),
    series: [
      {},
      ...SERIES.map(({ label, colour: name }) => ({
        label,
        fill: colour(name),
        width: 0,
        points: { show: false },
        paths: uPlot.paths.bars!({ size: [0.85, 40], gap: 1, align: 1 }),
      })),
    ],
  });
  return (
    <figure>
      <figcaption>
        Attempts by outcome, every {span(stepSeconds)}
        <Legend items={SERIES.map(({ label, colour }) => [label, colour])} />
      </figcaption>
      <Plot data={stacked(buckets)} options={options} label={label} stepSeconds={stepSeconds} />
      <BucketTable buckets={buckets} />
    </figure>
  );
}

const PERCENTILES = [
  ['p50', '--plot-p50'],
  ['p90', '--plot-p90'],
  ['p99', '--plot-p99'],
] as const;

export function LatencyPlot({ buckets, stepSeconds, note }: { buckets: readonly StatsBucket[]; stepSeconds: number; note?: string }) {
  const times = buckets.map((bucket) => Date.parse(bucket.at) / 1000);
  const data: AlignedData = [times, ...PERCENTILES.map(([name]) => buckets.map((bucket) => bucket.latencyMs[name]))];
  const slowest = Math.max(0, ...buckets.map((bucket) => bucket.latencyMs.p99 ?? 0));
  const options = () => ({
    cursor,
    legend: { show: false },
    scales: scales(stepSeconds, 10),
    axes: axes((n) => millis(n)),
    series: [
      {},
      ...PERCENTILES.map(([label, name]) => ({
        label,
        stroke: colour(name),
        width: 2,
        spanGaps: false,
        points: { show: true, size: 5, fill: colour(name) },
      })),
    ],
  });
  return (
    <figure>
      <figcaption>
        <span>
          Latency of attempts, every {span(stepSeconds)}
          {note && <span class="muted"> ({note})</span>}
        </span>
        <Legend items={PERCENTILES} />
      </figcaption>
      <Plot data={data} options={options} stepSeconds={stepSeconds} label={`Latency of attempts; the highest p99 is ${millis(slowest)}.`} />
    </figure>
  );
}

const Legend = ({ items }: { items: readonly (readonly [string, string])[] }) => (
  <span class="legend" role="list">
    {items.map(([label, name]) => (
      <span key={label} role="listitem">
        <span class={`swatch swatch-${name.slice('--plot-'.length)}`} aria-hidden="true" />
        {label}
      </span>
    ))}
  </span>
);
