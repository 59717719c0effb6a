// The overview of the platform, for support: whether anything is wrong, where, and whom to tell.

import { listBrands, readOverview } from '../api/support';
import type { Attention, Overview as OverviewData } from '../api/types';
import { attentionOf } from '../lib/attention';
import { now } from '../lib/clock';
import { count, pluralize, millis, share, span } from '../lib/format';
import { about, webhookName, shortUrl } from '../lib/health';
import { medianLatency, sumSuccess } from '../lib/stats';
import { useResource } from '../lib/use-resource';
import { Link, to } from '../router';
import { Badge, Card, Empty, Note, ProblemNote, Stat, Stats, Time, Loading } from '../ui/basics';
import { HealthBadge } from '../ui/health';
import { Icon } from '../ui/icon';
import { LatencyPlot, OutcomePlot } from '../ui/plot';
import { Heading } from '../ui/shell';
import { Table, type Column } from '../ui/table';
import { FirstSteps } from './first-steps';

const POLL_INTERVAL_MS = 5000;
const RUNBOOK = '/docs/runbook';
/** Deliveries that are due for longer are late: the runbook's alert PostriderDeliveriesLate has the same limit. */
const LATE_SECONDS = 3600;
/** A service writes that it is alive every few seconds. */
const GONE_SECONDS = 60;

export function Overview() {
  const { data, problem, reload } = useResource(readOverview, [], { every: POLL_INTERVAL_MS });
  const brands = useResource((signal) => listBrands({ limit: 1 }, signal), []);
  return (
    <>
      <Heading title="Overview" actions={<Elsewhere links={data?.links} />} />
      <ProblemNote problem={problem} retry={reload} />
      {!data && !problem && <Loading lines={6} />}
      {brands.data?.items.length === 0 && <FirstSteps />}
      {data && <Live overview={data} />}
    </>
  );
}

/** Links to what an operator opens next. */
const Elsewhere = ({ links }: { links: OverviewData['links'] }) => (
  <>
    <a class="button" href={links?.runbook ?? RUNBOOK}>
      Runbook
    </a>
    {links?.grafana && (
      <a class="button" href={links.grafana} target="_blank" rel="noreferrer">
        Grafana <Icon name="external" />
      </a>
    )}
  </>
);

const Live = ({ overview }: { overview: OverviewData }) => (
  <>
    <Tiles overview={overview} />
    <NeedsAttention overview={overview} />
    <Card title="Last hour">
      <div class="columns">
        <OutcomePlot buckets={overview.minutes} stepSeconds={60} />
        <LatencyPlot buckets={overview.minutes} stepSeconds={60} />
      </div>
    </Card>
    <div class="columns">
      <Services overview={overview} />
      <Queues overview={overview} />
    </div>
  </>
);

function Tiles({ overview }: { overview: OverviewData }) {
  const { minutes, webhooks, rejected } = overview;
  const { of, succeeded, ended } = sumSuccess(minutes);
  const latency = medianLatency(minutes);
  return (
    <Stats>
      <Stat label={of === 'event' ? 'Events delivered, last hour' : 'Attempts delivered, last hour'} hint={ended === 0 ? 'none ended' : `${share(succeeded, ended)} of ${pluralize(ended, of)}`}>
        {count(succeeded)}
      </Stat>
      <Stat label="Latency p50 / p99" hint="median of the last hour's minutes">
        {millis(latency.p50)} / {millis(latency.p99)}
      </Stat>
      <Pending overview={overview} />
      <Stat label="Disabled webhooks" tone={webhooks.disabled > 0 ? 'bad' : undefined} hint={`${count(webhooks.active)} active, ${count(webhooks.paused)} paused`}>
        <Link to="/webhooks?status=disabled">{count(webhooks.disabled)}</Link>
      </Stat>
      <Stat label="Rejected events" tone={rejected > 0 ? 'warn' : undefined} hint={rejected ? 'republish or discard them' : 'none'}>
        <Link to="/rejected">{count(rejected)}</Link>
      </Stat>
    </Stats>
  );
}

function Pending({ overview: { waiting } }: { overview: OverviewData }) {
  const oldest = waiting.oldest ? (now.value - Date.parse(waiting.oldest)) / 1000 : 0;
  const { oldestBrandId: brand, oldestWebhookId: webhook } = waiting;
  const hint =
    oldest > 0 ? (
      <>
        oldest due for {span(oldest)}
        {brand && webhook && (
          <>
            : <Link to={to.webhook(brand, webhook)}>{brand}</Link>
          </>
        )}
      </>
    ) : (
      'none is due'
    );
  return (
    <Stat label="Pending deliveries" tone={oldest > LATE_SECONDS ? 'warn' : undefined} hint={hint}>
      {count(waiting.deliveries)}
      {waiting.more && '+'}
    </Stat>
  );
}

const sinceOf = ({ webhook }: Attention) => webhook.disabled?.at ?? webhook.health?.since ?? null;

const ATTENTION: Column<Attention>[] = [
  {
    head: 'Webhook',
    names: true,
    sort: ({ webhook }) => webhookName(webhook),
    cell: ({ webhook }) => (
      <span class="named">
        <Link to={to.webhook(webhook.brandId, webhook.id)}>{webhookName(webhook)}</Link>
        {webhook.description && <span class="muted small url">{shortUrl(webhook.endpoint)}</span>}
      </span>
    ),
  },
  {
    head: 'Brand',
    sort: ({ brand }) => brand.name,
    cell: ({ brand }) => (
      <span class="named">
        <Link to={to.brand(brand.brandId)}>{brand.name}</Link>
        {brand.contact && (
          <a class="small quiet-link" href={`mailto:${brand.contact.email}`} title={brand.contact.email}>
            {brand.contact.name}
          </a>
        )}
      </span>
    ),
  },
  { head: 'State', sort: ({ webhook }) => webhook.health?.state ?? webhook.status, cell: ({ webhook }) => <HealthBadge webhook={webhook} /> },
  { head: 'Since', sort: sinceOf, cell: (row) => <Time at={sinceOf(row)} relative /> },
  { head: 'Disables', sort: ({ webhook }) => webhook.health?.disablesAt ?? null, cell: ({ webhook }) => <Disables webhook={webhook} /> },
  {
    head: 'Waiting',
    end: true,
    sort: ({ waiting }) => waiting.deliveries,
    cell: ({ waiting }) => (
      <span class="named">
        <span>
          {count(waiting.deliveries)}
          {waiting.more && '+'}
        </span>
        {waiting.oldest && <span class="muted small">for {span((now.value - Date.parse(waiting.oldest)) / 1000)}</span>}
      </span>
    ),
  },
];

function Disables({ webhook: { disabled, health } }: Pick<Attention, 'webhook'>) {
  if (disabled) return <span class="muted">{DISABLED[disabled.reason]}</span>;
  if (!health?.disablesAt) return <span class="muted">–</span>;
  return <strong class="error-text">{about(health.disablesAt, now.value)}</strong>;
}

const DISABLED = { gone: 'answered 410', failing: 'failed too often', unresponsive: 'did not respond', support: 'by support' } as const;

function NeedsAttention({ overview }: { overview: OverviewData }) {
  const rows = attentionOf(overview);
  const isPartial = overview.attention === undefined;
  return (
    <Card title="Needs attention" actions={<Link to="/webhooks?order=attention">All webhooks, worst first</Link>}>
      {isPartial && (
        <Note tone="warn">
          <p>This API does not report failing webhooks yet. Only disabled ones are listed.</p>
        </Note>
      )}
      {rows.length === 0 ? (
        <p class="all-well">
          <Badge tone="good">All well</Badge> {isPartial ? 'No webhook is disabled.' : 'No webhook fails or is disabled.'}
        </p>
      ) : (
        <Table label="Needs attention" sortBy="sort" rows={rows} keyOf={({ webhook }) => webhook.id} columns={ATTENTION} />
      )}
      {overview.attentionMore && (
        <p class="muted">
          More webhooks fail. <Link to="/webhooks?order=attention">See them all</Link>.
        </p>
      )}
      {(overview.webhooks['disabled'] ?? 0) > overview.disabled.length && (
        <p class="muted">
          More webhooks are disabled. <Link to="/webhooks?status=disabled">See them all</Link>.
        </p>
      )}
    </Card>
  );
}

type Service = OverviewData['services'][number];
const isGone = ({ lastSeen }: Service, at: string) => Date.parse(at) - Date.parse(lastSeen) > GONE_SECONDS * 1000;

const Services = ({ overview: { services, at } }: { overview: OverviewData }) => (
  <Card title="Services">
    {services.length === 0 ? (
      <Empty title="No services have been seen yet." />
    ) : (
      <Table
        label="Services"
        rows={services}
        keyOf={(service) => service.id}
        rowClass={(service) => (isGone(service, at) ? 'tone-bad' : undefined)}
        columns={[
          { head: 'Service', names: true, cell: (service) => service.service },
          { head: 'Host', cell: (service) => service.host },
          { head: 'Version', cell: (service) => service.version },
          { head: 'Started', cell: (service) => <Time at={service.started} relative /> },
          {
            head: 'Last seen',
            cell: (service) => (
              <>
                {isGone(service, at) && <Badge tone="bad">Gone</Badge>} <Time at={service.lastSeen} relative />
              </>
            ),
          },
        ]}
      />
    )}
  </Card>
);

const Queues = ({ overview: { queues } }: { overview: OverviewData }) => (
  <Card title="Queues">
    <Table
      label="Queues"
      rows={queues}
      keyOf={(queue) => queue.name}
      columns={[
        { head: 'Queue', names: true, cell: (queue) => <QueueName {...queue} /> },
        { head: 'Messages', end: true, cell: (queue) => count(queue.messages) },
      ]}
    />
  </Card>
);

const QueueName = ({ name, note }: OverviewData['queues'][number]) => (
  <span class="named">
    <code>{name}</code>
    {note && <span class="muted small">{note}</span>}
  </span>
);
