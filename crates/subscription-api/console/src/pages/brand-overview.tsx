// The overview of a brand: the webhooks that need its attention first, then the statistics of all of them.

import { useRef } from 'preact/hooks';
import { readBrandStats } from '../api/events';
import { toProblem } from '../api/problem';
import type { StatsBucket, Webhook } from '../api/types';
import { listWebhooks, readStats } from '../api/webhooks';
import { now } from '../lib/clock';
import { count, pluralize, millis, share } from '../lib/format';
import { healthLine, webhookName } from '../lib/health';
import { medianLatency, mergeBuckets, sumBuckets, sumSuccess } from '../lib/stats';
import { currentRange, wholeSteps } from '../lib/time-range';
import { useResource } from '../lib/use-resource';
import { Link, to } from '../router';
import { mayWrite, me } from '../session';
import { Card, Note, ProblemNote, Stat, Stats, Loading } from '../ui/basics';
import { HealthBadge } from '../ui/health';
import { LatencyPlot, OutcomePlot } from '../ui/plot';
import { describePreset, RangePicker } from '../ui/range-picker';
import { Heading } from '../ui/shell';
import { Table, type Column } from '../ui/table';
import { FirstSteps } from './first-steps';

const POLL_INTERVAL_MS = 10_000;
/** The statistics of a brand add up every slice of all its webhooks, and their request costs as much as 20 others. */
const STATS_INTERVAL_MS = 60_000;
/** Maximum number of webhooks whose statistics are added up if the API has no sum: each costs a request. */
const MAX_ADDED_WEBHOOKS = 20;
const FALLBACK_RANGE = '24h';

type Query = { from: string; to: string; step: string };

interface BrandFigures {
  items: readonly StatsBucket[];
  /** Number of webhooks that the figures cover; null if they cover all. */
  covers: number | null;
}

/** Reads the sum of the brand, or adds up webhooks for an API of the previous version. */
export async function readFigures(brand: string, webhooks: readonly Webhook[], query: Query, signal: AbortSignal): Promise<BrandFigures> {
  try {
    return { items: (await readBrandStats(brand, query, signal)).items, covers: null };
  } catch (error) {
    if (toProblem(error).status !== 404) throw error;
  }
  const counted = webhooks.slice(0, MAX_ADDED_WEBHOOKS);
  const stats = await Promise.all(counted.map(({ id }) => readStats({ brand, webhook: id }, query, signal)));
  return { items: mergeBuckets(stats.map(({ items }) => items)), covers: counted.length < webhooks.length ? counted.length : null };
}

export function BrandOverview() {
  const brand = me().brandId ?? '';
  const range = currentRange(FALLBACK_RANGE);
  const last = useRef<{ key: string; at: number; figures: BrandFigures } | null>(null);
  const load = async (signal: AbortSignal) => {
    const { items: webhooks } = await listWebhooks(brand, { limit: 1000 }, signal);
    const known = last.current;
    if (known && known.key === range.key && Date.now() - known.at < STATS_INTERVAL_MS) return { webhooks, figures: known.figures };
    const figures = await readFigures(brand, webhooks, wholeSteps(currentRange(FALLBACK_RANGE)), signal);
    last.current = { key: range.key, at: Date.now(), figures };
    return { webhooks, figures };
  };
  const { data, problem, reload } = useResource(load, [brand, range.key], { every: POLL_INTERVAL_MS });
  const action = (
    <>
      <RangePicker fallback={FALLBACK_RANGE} />
      {mayWrite() && (
        <Link to={to.newWebhook(brand)} class="button main">
          New webhook
        </Link>
      )}
    </>
  );
  return (
    <>
      <Heading title="Overview" actions={action} />
      <ProblemNote problem={problem} retry={reload} />
      {!data && !problem && <Loading lines={6} />}
      {data?.webhooks.length === 0 && <FirstSteps brand={brand} />}
      {data && data.webhooks.length > 0 && <Live {...data} brand={brand} />}
    </>
  );
}

const isInTrouble = ({ status, health }: Webhook) => status === 'disabled' || health?.state === 'failing' || health?.state === 'resting';

function Live({ webhooks, figures, brand }: { webhooks: Webhook[]; figures: BrandFigures; brand: string }) {
  const range = currentRange(FALLBACK_RANGE);
  const { of, succeeded, ended } = sumSuccess(figures.items);
  const attempts = sumBuckets(figures.items);
  const latency = medianLatency(figures.items);
  const number = (status: string) => webhooks.filter((webhook) => webhook.status === status).length;
  const trouble = webhooks.filter(isInTrouble);
  return (
    <>
      <Stats>
        <Stat label={of === 'event' ? 'Events delivered' : 'Attempts delivered'} hint={ended === 0 ? 'none ended' : `${share(succeeded, ended)} of ${pluralize(ended, of)}`}>
          {count(succeeded)}
        </Stat>
        <Stat label={of === 'event' ? 'Events failed' : 'Attempts failed'} tone={ended > succeeded ? 'warn' : undefined} hint="all retries used up">
          {count(ended - succeeded)}
        </Stat>
        <Stat label="Attempts" hint={`${count(attempts.failed)} failed, retries included`}>
          {count(attempts.attempts)}
        </Stat>
        <Stat label="Latency p50 / p99" hint="median over the chart's steps">
          {millis(latency.p50)} / {millis(latency.p99)}
        </Stat>
        <Stat label="Disabled webhooks" tone={number('disabled') > 0 ? 'bad' : undefined} hint={`${number('active')} active, ${number('paused')} paused`}>
          <Link to={`${to.webhooks(brand)}${number('disabled') > 0 ? '?status=disabled' : ''}`}>{count(number('disabled'))}</Link>
        </Stat>
      </Stats>
      {trouble.length > 0 && <Trouble webhooks={trouble} />}
      <Card title={range.preset ? describePreset(range.preset) : 'Selected range'}>
        {figures.covers !== null && <p class="muted">These statistics cover your {figures.covers} oldest webhooks. Each webhook's page has its own.</p>}
        <OutcomePlot buckets={figures.items} stepSeconds={range.stepSeconds} select />
        <LatencyPlot buckets={figures.items} stepSeconds={range.stepSeconds} select />
      </Card>
    </>
  );
}

const COLUMNS: Column<Webhook>[] = [
  {
    head: 'Webhook',
    names: true,
    cell: (webhook) => <Link to={to.webhook(webhook.brandId, webhook.id)}>{webhookName(webhook)}</Link>,
  },
  { head: 'State', cell: (webhook) => <HealthBadge webhook={webhook} /> },
  { head: 'Detail', cell: (webhook) => <Detail webhook={webhook} /> },
];

const Detail = ({ webhook }: { webhook: Webhook }) => {
  const line = healthLine(webhook, now.value);
  return <span>{line.charAt(0).toUpperCase() + line.slice(1)}</span>;
};

const Trouble = ({ webhooks }: { webhooks: Webhook[] }) => (
  <Card title="Needs attention">
    <Table label="Needs attention" rows={webhooks} keyOf={({ id }) => id} columns={COLUMNS} />
    {webhooks.some(({ status }) => status === 'disabled') && (
      <Note tone="bad">
        <p>A disabled webhook receives nothing; new events are held. Fix the endpoint, then ask support to enable it.</p>
      </Note>
    )}
  </Card>
);
