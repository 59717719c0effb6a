// The overview of the platform, for support: whether anything is wrong, and where.

import { listBrands, readOverview } from '../api/support';
import type { Overview as OverviewData } from '../api/types';
import { now } from '../lib/clock';
import { count, pluralize, millis, share, span, humanize } from '../lib/format';
import { sumBuckets } from '../lib/stats';
import { useResource } from '../lib/use-resource';
import { Link, to } from '../router';
import { Badge, Card, Empty, ProblemNote, Stat, Stats, Time, Loading } from '../ui/basics';
import { LatencyPlot, OutcomePlot } from '../ui/plot';
import { Heading } from '../ui/shell';
import { Table } from '../ui/table';
import { FirstSteps } from './first-steps';

const POLL_INTERVAL_MS = 5000;

export function Overview() {
  const { data, problem, reload } = useResource(readOverview, [], { every: POLL_INTERVAL_MS });
  const brands = useResource((signal) => listBrands({ limit: 1 }, signal), []);
  return (
    <>
      <Heading title="Overview" />
      <ProblemNote problem={problem} retry={reload} />
      {!data && !problem && <Loading />}
      {brands.data?.items.length === 0 && <FirstSteps />}
      {data && <Live overview={data} />}
    </>
  );
}

function Live({ overview }: { overview: OverviewData }) {
  return (
    <>
      <Tiles overview={overview} />
      <DisabledWebhooks overview={overview} />
      <Card title="Last hour">
        <OutcomePlot buckets={overview.minutes} stepSeconds={60} />
        <LatencyPlot buckets={overview.minutes} stepSeconds={60} />
      </Card>
      <div class="columns">
        <Services overview={overview} />
        <Queues overview={overview} />
      </div>
    </>
  );
}

function Tiles({ overview }: { overview: OverviewData }) {
  const { minutes, waiting, webhooks, rejected } = overview;
  const hour = sumBuckets(minutes);
  const last = [...minutes].reverse().find((bucket) => bucket.latencyMs.p50 !== null);
  const oldest = waiting.oldest ? (now.value - Date.parse(waiting.oldest)) / 1000 : 0;
  return (
    <Stats>
      <Stat label="Delivered, last hour" hint={`${share(hour.delivered, hour.attempts)} of ${pluralize(hour.attempts, 'attempt')}`}>
        {count(hour.delivered)}
      </Stat>
      <Stat label="Latency p50 / p99" hint="in the last minute with attempts">
        {millis(last?.latencyMs.p50 ?? null)} / {millis(last?.latencyMs.p99 ?? null)}
      </Stat>
      <Stat label="Pending deliveries" tone={oldest > 3600 ? 'warn' : undefined} hint={oldest > 0 ? `oldest due for ${span(oldest)}` : 'none is due'}>
        {count(waiting.deliveries)}
        {waiting.more && '+'}
      </Stat>
      <Stat label="Disabled webhooks" tone={webhooks.disabled > 0 ? 'bad' : undefined} hint={`${count(webhooks.active)} active, ${count(webhooks.paused)} paused`}>
        <Link to="/webhooks?status=disabled">{count(webhooks.disabled)}</Link>
      </Stat>
      <Stat label="Rejected events" tone={rejected > 0 ? 'warn' : undefined} hint={rejected ? 'need a decision' : 'none'}>
        <Link to="/rejected">{count(rejected)}</Link>
      </Stat>
    </Stats>
  );
}

function DisabledWebhooks({ overview }: { overview: OverviewData }) {
  if (overview.disabled.length === 0) return null;
  return (
    <Card title="Disabled webhooks">
      <Table
        label="Disabled webhooks"
        rows={overview.disabled}
        keyOf={(webhook) => webhook.id}
        columns={[
          {
            head: 'Endpoint',
            names: true,
            cell: (webhook) => (
              <Link to={to.webhook(webhook.brandId, webhook.id)} class="url">
                {webhook.endpoint}
              </Link>
            ),
          },
          { head: 'Brand', cell: (webhook) => <Link to={to.brand(webhook.brandId)}>{webhook.brandId}</Link> },
          { head: 'Reason', cell: (webhook) => <Badge tone="warn">{humanize(webhook.disabled?.reason ?? '')}</Badge> },
          { head: 'Detail', cell: (webhook) => webhook.disabled?.detail },
          { head: 'Since', cell: (webhook) => <Time at={webhook.disabled?.at ?? null} relative /> },
        ]}
      />
    </Card>
  );
}

const Services = ({ overview }: { overview: OverviewData }) => (
  <Card title="Services">
    {overview.services.length === 0 ? (
      <Empty title="No services have been seen yet." />
    ) : (
      <Table
        label="Services"
        rows={overview.services}
        keyOf={(service) => service.id}
        columns={[
          { head: 'Service', names: true, cell: (service) => service.service },
          { head: 'Host', cell: (service) => service.host },
          { head: 'Version', cell: (service) => service.version },
          { head: 'Started', cell: (service) => <Time at={service.started} relative /> },
          { head: 'Last seen', cell: (service) => <Time at={service.lastSeen} relative /> },
        ]}
      />
    )}
  </Card>
);

const Queues = ({ overview }: { overview: OverviewData }) => (
  <Card title="Queues">
    <Table
      label="Queues"
      rows={overview.queues}
      keyOf={(queue) => queue.name}
      columns={[
        { head: 'Queue', names: true, cell: (queue) => <code>{queue.name}</code> },
        { head: 'Messages', end: true, cell: (queue) => count(queue.messages) },
      ]}
    />
  </Card>
);
