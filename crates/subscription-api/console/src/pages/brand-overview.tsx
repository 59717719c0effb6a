// The overview of a brand: disabled webhooks first, then the statistics of all its webhooks.

import type { Webhook } from '../api/types';
import { listEvents, listWebhooks, readStats, type WebhookRef } from '../api/webhooks';
import { now } from '../lib/clock';
import { count, pluralize, millis, share, span } from '../lib/format';
import { mergeBuckets, sumBuckets } from '../lib/stats';
import { useResource } from '../lib/use-resource';
import { Link, to } from '../router';
import { mayWrite, me } from '../session';
import { Card, Note, ProblemNote, Stat, Stats, Time, Loading } from '../ui/basics';
import { LatencyPlot, OutcomePlot } from '../ui/plot';
import { Heading } from '../ui/shell';
import { FirstSteps } from './first-steps';

const POLL_INTERVAL_MS = 10_000;
/** Maximum number of webhooks whose statistics are added up, because each costs two requests. */
const MAX_COUNTED_WEBHOOKS = 40;
/** Maximum number of pending events that are counted per webhook. */
const MAX_COUNTED_EVENTS = 100;

async function loadOverview(brand: string, signal: AbortSignal) {
  const page = await listWebhooks(brand, { limit: 1000 }, signal);
  const minute = Math.floor(Date.now() / 60_000) * 60_000;
  const query = { from: iso(minute - 59 * 60_000), to: iso(minute + 60_000), step: '60s' };
  const counted = page.items.slice(0, MAX_COUNTED_WEBHOOKS);
  const stats = await Promise.all(counted.map(({ id }) => readStats({ brand, webhook: id }, query, signal)));
  const waiting = await Promise.all(counted.map(({ id }) => countPending({ brand, webhook: id }, signal)));
  return { webhooks: page.items, counted: counted.length, minutes: mergeBuckets(stats.map((s) => s.items)), waiting: sumPending(waiting) };
}

interface PendingEvents {
  count: number;
  more: boolean;
  oldest: string | null;
}

async function countPending(webhookRef: WebhookRef, signal: AbortSignal): Promise<PendingEvents> {
  const { items, nextCursor } = await listEvents(webhookRef, { status: 'pending', limit: MAX_COUNTED_EVENTS }, signal);
  return { count: items.length, more: nextCursor !== null, oldest: items[0]?.created ?? null };
}

function sumPending(all: readonly PendingEvents[]): PendingEvents {
  const oldest = all.flatMap((one) => one.oldest ?? []).sort()[0] ?? null;
  return { count: all.reduce((n, one) => n + one.count, 0), more: all.some((one) => one.more), oldest };
}

const iso = (ms: number) => new Date(ms).toISOString();

export function BrandOverview() {
  const brand = me().brandId ?? '';
  const { data, problem, reload } = useResource((signal) => loadOverview(brand, signal), [brand], { every: POLL_INTERVAL_MS });
  const action = mayWrite() && (
    <Link to={to.newWebhook(brand)} class="button main">
      New webhook
    </Link>
  );
  return (
    <>
      <Heading title="Overview" actions={action} />
      <ProblemNote problem={problem} retry={reload} />
      {!data && !problem && <Loading />}
      {data?.webhooks.length === 0 && <FirstSteps brand={brand} />}
      {data && data.webhooks.length > 0 && <Live {...data} brand={brand} />}
    </>
  );
}

type Seen = Awaited<ReturnType<typeof loadOverview>>;

function Live({ webhooks, counted, minutes, waiting, brand }: Seen & { brand: string }) {
  const hour = sumBuckets(minutes);
  const of = (status: string) => webhooks.filter((webhook) => webhook.status === status);
  const last = [...minutes].reverse().find((bucket) => bucket.latencyMs.p50 !== null);
  return (
    <>
      {of('disabled').map((webhook) => (
        <DisabledNote key={webhook.id} webhook={webhook} />
      ))}
      <Stats>
        <Stat label="Delivered, last hour" hint={`${share(hour.delivered, hour.attempts)} of ${pluralize(hour.attempts, 'attempt')}`}>
          {count(hour.delivered)}
        </Stat>
        <Stat label="Failed attempts, last hour" tone={hour.failed > 0 ? 'warn' : undefined}>
          {count(hour.failed)}
        </Stat>
        <Stat label="Latency p50 / p99" hint="in the last minute with attempts">
          {millis(last?.latencyMs.p50 ?? null)} / {millis(last?.latencyMs.p99 ?? null)}
        </Stat>
        <Stat label="Pending deliveries" hint={waiting.oldest ? `oldest: ${span((now.value - Date.parse(waiting.oldest)) / 1000)}` : 'none'}>
          {count(waiting.count)}
          {waiting.more && '+'}
        </Stat>
        <Stat label="Active webhooks" tone={of('disabled').length > 0 ? 'bad' : undefined} hint={`${of('paused').length} paused, ${of('disabled').length} disabled`}>
          <Link to={to.webhooks(brand)}>{count(of('active').length)}</Link>
        </Stat>
      </Stats>
      <Card title="Last hour">
        {counted < webhooks.length && (
          <p class="muted">These statistics cover your {counted} oldest webhooks. Each webhook's page has its own.</p>
        )}
        <OutcomePlot buckets={minutes} stepSeconds={60} />
        <LatencyPlot buckets={minutes} stepSeconds={60} {...(webhooks.length > 1 ? { note: 'of the slowest webhook' } : {})} />
      </Card>
    </>
  );
}

export const DisabledNote = ({ webhook }: { webhook: Webhook }) => (
  <Note tone="bad">
    <p>
      <strong>
        <Link to={to.webhook(webhook.brandId, webhook.id)} class="url">
          {webhook.endpoint}
        </Link>{' '}
        is disabled
      </strong>{' '}
      (<Time at={webhook.disabled?.at ?? null} relative />, {webhook.disabled?.reason}). <bdi>{webhook.disabled?.detail}</bdi> Fix the
      endpoint, then ask support to enable it. Until then, new events are held.
    </p>
  </Note>
);
