// Plots of outcomes and latency over time. The values of a step appear on hover; dragging over steps selects them as the
// time range of the page. Each plot is also available as a table.

import { useMemo, useState } from 'preact/hooks';
import uPlot, { type AlignedData, type Options } from 'uplot';
import type { StatsBucket } from '../api/types';
import { INCREMENTS, latencyTick, seriesOf, stack } from '../lib/chart';
import { clockTime, count, exactCount, millis, shortDay, shortTime, span } from '../lib/format';
import { sumBuckets, countOutcomes, type Series } from '../lib/stats';
import { colour } from '../lib/theme';
import { zoneName } from '../lib/zone';
import { BucketTable } from './bucket-table';
import { Plot } from './plot-canvas';

/** A week in steps of a day fills a wide chart. */
const MAX_BAR_PX = 90;
const DAY_SECONDS = 86_400;

function axes(values: (n: number) => string, isEmpty: boolean): NonNullable<Options['axes']> {
  const common = {
    stroke: colour('--muted'),
    grid: { stroke: colour('--line'), width: 1 },
    ticks: { show: false },
    font: `12px ${getComputedStyle(document.body).fontFamily}`,
  };
  // Times of the day, or dates where a day begins.
  const marks: uPlot.Axis.Values = (_, splits, _axis, _space, increment) =>
    splits.map((at) => (increment >= DAY_SECONDS || isMidnight(at) ? shortDay : clockTime)(at * 1000));
  return [
    { ...common, size: 28, space: 75, values: marks, grid: { show: false } },
    { ...common, size: 58, space: 28, incrs: INCREMENTS, values: (_, splits) => splits.map((n) => (n === null || (isEmpty && n !== 0) ? '' : values(n))) },
  ];
}

const isMidnight = (at: number) => clockTime(at * 1000) === '00:00';

/** Scales from zero to the end of the last bucket, because its bar begins at the last time. */
function scales(stepSeconds: number, least: number): NonNullable<Options['scales']> {
  return {
    x: { range: (_, min, max) => [min, max + stepSeconds] },
    y: { range: (_, _min, max) => [0, Math.max((max ?? 0) * 1.06, least)] },
  };
}

/** `every 30 min, CET`. The API's steps of a day are days in UTC. */
const stepName = (stepSeconds: number) => (stepSeconds === DAY_SECONDS ? 'per day, UTC' : `every ${span(stepSeconds)}, ${zoneName()}`);

const timesOf = (buckets: readonly StatsBucket[]) => buckets.map((bucket) => Date.parse(bucket.at) / 1000);

interface ChartProps {
  buckets: readonly StatsBucket[];
  stepSeconds: number;
  note?: string;
  /** Whether dragging selects the time range of the page. */
  select?: boolean;
}

export function OutcomePlot({ buckets, stepSeconds, select = false }: ChartProps) {
  const [hidden, setHidden] = useState<readonly string[]>([]);
  const all = sumBuckets(buckets);
  const present = useMemo(() => seriesOf(buckets), [buckets]);
  const shown = present.filter(({ label }) => !hidden.includes(label));
  // The highest series is drawn first, so that those below it stay visible.
  const data = useMemo<AlignedData>(() => [timesOf(buckets), ...stack(buckets, shown).reverse()], [buckets, hidden, present]);
  const options = () => ({
    scales: scales(stepSeconds, 1),
    axes: axes((n) => count(n), all.attempts === 0),
    series: [
      {},
      ...[...shown].reverse().map(({ label, colour: name }) => ({
        label,
        fill: colour(name),
        width: 0,
        points: { show: false },
        paths: uPlot.paths.bars!({ size: [0.82, MAX_BAR_PX], gap: 1, align: 1 }),
      })),
    ],
  });
  const toggle = (label: string) => setHidden((old) => (old.includes(label) ? old.filter((one) => one !== label) : [...old, label]));
  return (
    <figure>
      <figcaption>
        <span>
          Attempts by outcome <span class="muted">{stepName(stepSeconds)}</span>
        </span>
        <Legend items={present.map(({ label, colour }) => [label, colour])} hidden={hidden} toggle={toggle} />
      </figcaption>
      <Plot
        data={data}
        options={options}
        stepSeconds={stepSeconds}
        series={shown.map(({ label }) => label).join()}
        label={`Attempts by outcome, every ${span(stepSeconds)}: ${count(all.delivered)} delivered, ${count(all.failed)} failed.`}
        tip={(index) => <OutcomeTip bucket={buckets[index]} stepSeconds={stepSeconds} series={present} />}
        empty={all.attempts === 0 ? 'No attempts in this range' : null}
        select={select}
      />
      <BucketTable buckets={buckets} />
    </figure>
  );
}

function OutcomeTip({ bucket, stepSeconds, series }: { bucket: StatsBucket | undefined; stepSeconds: number; series: readonly Series[] }) {
  if (!bucket) return null;
  return (
    <>
      <StepName bucket={bucket} stepSeconds={stepSeconds} />
      <dl>
        {[...series].reverse().map((one) => (
          <TipLine key={one.label} colour={one.colour} label={one.label} value={exactCount(countOutcomes(bucket, one))} />
        ))}
        {bucket.events && (
          <>
            <dt class="rule">Events delivered</dt>
            <dd class="rule">{exactCount(bucket.events.delivered)}</dd>
            <dt>Events failed</dt>
            <dd>{exactCount(bucket.events.failed)}</dd>
          </>
        )}
      </dl>
    </>
  );
}

function StepName({ bucket, stepSeconds }: { bucket: StatsBucket; stepSeconds: number }) {
  const end = Date.parse(bucket.at) + stepSeconds * 1000;
  return (
    <p>
      {shortTime(bucket.at)} – {stepSeconds < DAY_SECONDS ? clockTime(end) : shortTime(end)}
    </p>
  );
}

const TipLine = ({ colour: name, label, value }: { colour: string; label: string; value: string }) => (
  <>
    <dt>
      <span class={`swatch swatch-${name.slice('--plot-'.length)}`} aria-hidden="true" />
      {label}
    </dt>
    <dd>{value}</dd>
  </>
);

const PERCENTILES = [
  ['p50', '--plot-p50'],
  ['p90', '--plot-p90'],
  ['p99', '--plot-p99'],
] as const;

export function LatencyPlot({ buckets, stepSeconds, note, select = false }: ChartProps) {
  const [hidden, setHidden] = useState<readonly string[]>([]);
  const shown = PERCENTILES.filter(([name]) => !hidden.includes(name));
  const data = useMemo<AlignedData>(() => [timesOf(buckets), ...shown.map(([name]) => buckets.map((bucket) => bucket.latencyMs[name]))], [buckets, hidden]);
  const slowest = Math.max(0, ...buckets.map((bucket) => bucket.latencyMs.p99 ?? 0));
  const isEmpty = buckets.every((bucket) => bucket.latencyMs.p50 === null);
  const options = () => ({
    scales: scales(stepSeconds, 10),
    axes: axes(latencyTick, isEmpty),
    series: [
      {},
      ...shown.map(([label, name]) => ({
        label,
        stroke: colour(name),
        width: 2,
        spanGaps: false,
        // A line needs two points; a single one between gaps would be invisible without its mark.
        points: { show: true, size: 4, fill: colour(name) },
      })),
    ],
  });
  const toggle = (label: string) => setHidden((old) => (old.includes(label) ? old.filter((one) => one !== label) : [...old, label]));
  return (
    <figure>
      <figcaption>
        <span>
          Latency of attempts <span class="muted">{note ?? stepName(stepSeconds)}</span>
        </span>
        {!isEmpty && <Legend items={PERCENTILES} hidden={hidden} toggle={toggle} />}
      </figcaption>
      <Plot
        data={data}
        options={options}
        stepSeconds={stepSeconds}
        series={shown.map(([name]) => name).join()}
        label={isEmpty ? 'Latency of attempts: there are none.' : `Latency of attempts; the highest p99 is ${millis(slowest)}.`}
        tip={(index) => <LatencyTip bucket={buckets[index]} stepSeconds={stepSeconds} />}
        empty={isEmpty ? 'No attempts in this range' : null}
        select={select}
      />
    </figure>
  );
}

function LatencyTip({ bucket, stepSeconds }: { bucket: StatsBucket | undefined; stepSeconds: number }) {
  if (!bucket) return null;
  return (
    <>
      <StepName bucket={bucket} stepSeconds={stepSeconds} />
      <dl>
        {[...PERCENTILES].reverse().map(([name, colour]) => (
          <TipLine key={name} colour={colour} label={name} value={millis(bucket.latencyMs[name])} />
        ))}
      </dl>
    </>
  );
}

/** The series, each a button that hides or shows it. One series needs no legend. */
function Legend({ items, hidden, toggle }: { items: readonly (readonly [string, string])[]; hidden: readonly string[]; toggle: (label: string) => void }) {
  if (items.length < 2) return null;
  return (
    <span class="legend" role="group" aria-label="Series">
      {items.map(([label, name]) => (
        <button key={label} type="button" aria-pressed={!hidden.includes(label)} onClick={() => toggle(label)}>
          <span class={`swatch swatch-${name.slice('--plot-'.length)}`} aria-hidden="true" />
          {label}
        </button>
      ))}
    </span>
  );
}
