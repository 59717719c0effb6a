// The page of a brand, for support: its traffic, its webhooks and their failures, and the people and tokens behind it.

import { listAudit } from '../api/audit';
import { readBrandStats } from '../api/events';
import { listJobs } from '../api/jobs';
import { readBrand } from '../api/support';
import { listTokens } from '../api/tokens';
import type { Brand, EventRow, Webhook } from '../api/types';
import { listEvents, listWebhooks } from '../api/webhooks';
import { now } from '../lib/clock';
import { bytes, count, pluralize, share } from '../lib/format';
import { webhookName } from '../lib/health';
import { useNames } from '../lib/use-names';
import { useResource } from '../lib/use-resource';
import { Link, to, type PageProps } from '../router';
import { Badge, Card, DeliveryBadge, Empty, Fact, Facts, Id, ProblemNote, Stat, Stats, Time, Loading } from '../ui/basics';
import { HealthCell } from '../ui/health';
import { OutcomePlot } from '../ui/plot';
import { BrandTabs, Heading } from '../ui/shell';
import { Table } from '../ui/table';
import { AuditEntries } from './audit';
import { JobTable } from './jobs';
import { Name } from './webhook-list';
import { TokenLife } from './tokens';

const POLL_INTERVAL_MS = 15_000;
/** The statistics of a brand add up every slice of all its webhooks, and their request costs as much as 20 others. */
const STATS_INTERVAL_MS = 60_000;
const DAYS = 7;
const DAY_SECONDS = 86_400;
/** Webhooks that are shown here, worst first; the tab has all. */
const SHOWN_WEBHOOKS = 8;
/** Failing webhooks whose last failures are read, because each costs a request. */
const FAILING_READ = 5;
const SHOWN_FAILURES = 8;
const SHOWN_ENTRIES = 6;
const SHOWN_JOBS = 3;

export function BrandPage({ params: { brand = '' } }: PageProps) {
  const { data, problem, reload } = useResource((signal) => readBrand(brand, signal), [brand]);
  return (
    <>
      <Heading title={data ? data.name : brand} up={[['/brands', 'Brands']]}>
        {data && (
          <p class="url-line">
            <Id id={data.brandId} what="brand id" />
          </p>
        )}
        <BrandTabs brand={brand} />
      </Heading>
      <ProblemNote problem={problem} retry={reload} />
      {!data && !problem && <Loading lines={6} />}
      {data && <Live brand={data} />}
    </>
  );
}

function Live({ brand }: { brand: Brand }) {
  const id = brand.brandId;
  // Both the figures at the top and the list show the webhooks.
  const webhooks = useResource((signal) => listWebhooks(id, { order: 'attention', limit: 1000 }, signal), [id], { every: POLL_INTERVAL_MS });
  return (
    <>
      <Traffic brand={brand} webhooks={webhooks.data?.items ?? null} />
      <div class="page-columns">
        <div>
          <Webhooks brand={id} webhooks={webhooks.data?.items ?? null} problem={<ProblemNote problem={webhooks.problem} retry={webhooks.reload} />} />
          {webhooks.data && <Failures brand={id} webhooks={webhooks.data.items} />}
          <Jobs brand={id} />
          <Changes brand={id} />
        </div>
        <div>
          <Contact brand={brand} />
          <Tokens brand={id} />
        </div>
      </div>
    </>
  );
}

/** Midnight of the zone would differ between readers, so days are those of UTC. */
function lastDays(): { from: string; to: string; step: string } {
  const end = Math.ceil(Date.now() / 1000 / DAY_SECONDS) * DAY_SECONDS;
  const iso = (seconds: number) => new Date(seconds * 1000).toISOString();
  return { from: iso(end - DAYS * DAY_SECONDS), to: iso(end), step: `${DAY_SECONDS}s` };
}

function Traffic({ brand, webhooks }: { brand: Brand; webhooks: Webhook[] | null }) {
  const { data, problem, reload } = useResource((signal) => readBrandStats(brand.brandId, lastDays(), signal), [brand.brandId], { every: STATS_INTERVAL_MS });
  const buckets = data?.items ?? [];
  const delivered = buckets.reduce((sum, { events }) => sum + (events?.delivered ?? 0), 0);
  const failed = buckets.reduce((sum, { events }) => sum + (events?.failed ?? 0), 0);
  const today = buckets.at(-1)?.events;
  const failing = (webhooks ?? []).filter(({ health }) => health?.state === 'failing').length;
  const disabled = (webhooks ?? []).filter(({ status }) => status === 'disabled').length;
  return (
    <>
      <Stats>
        <Stat label={`Delivered, last ${DAYS} days`} hint={delivered + failed > 0 ? `${share(delivered, delivered + failed)} of ${pluralize(delivered + failed, 'event')}` : 'no events'}>
          {data ? count(delivered) : '…'}
        </Stat>
        <Stat label="Delivered today (UTC)">{data ? count(today?.delivered ?? 0) : '…'}</Stat>
        <Stat label="Failed events" tone={failed > 0 ? 'warn' : undefined} hint={`last ${DAYS} days`}>
          {data ? count(failed) : '…'}
        </Stat>
        <Stat label="Webhooks" tone={failing + disabled > 0 ? 'bad' : undefined} hint={`${count(failing)} failing, ${count(disabled)} disabled`}>
          {webhooks ? count(webhooks.length) : '…'}
        </Stat>
        <Stat
          label="Waiting to be routed"
          tone={brand.waiting.events > 0 ? 'warn' : undefined}
          hint={
            brand.waiting.events > 0 ? (
              <>
                {bytes(brand.waiting.bytes)}
                {brand.waiting.since && (
                  <>
                    , since <Time at={brand.waiting.since} relative />
                  </>
                )}
              </>
            ) : (
              'nothing'
            )
          }
        >
          {count(brand.waiting.events)}
        </Stat>
      </Stats>
      <Card title="Traffic per day">
        <ProblemNote problem={problem} retry={reload} />
        {!data && !problem && <Loading lines={5} />}
        {data && delivered + failed === 0 && buckets.every(({ attempts }) => attempts === 0) ? (
          <Empty title={`No deliveries in the last ${DAYS} days.`} />
        ) : (
          data && <OutcomePlot buckets={data.items} stepSeconds={data.stepSeconds} />
        )}
      </Card>
    </>
  );
}

function Webhooks({ brand, webhooks, problem }: { brand: string; webhooks: Webhook[] | null; problem: preact.ComponentChildren }) {
  const more = (webhooks?.length ?? 0) - SHOWN_WEBHOOKS;
  return (
    <Card title="Webhooks" actions={<Link to={to.webhooks(brand)}>{more > 0 ? `All ${count(webhooks!.length)}` : 'All'}</Link>}>
      {problem}
      {webhooks?.length === 0 && (
        <Empty title="This brand has no webhooks yet.">
          <Link to={to.newWebhook(brand)}>Create one</Link>
        </Empty>
      )}
      {webhooks && webhooks.length > 0 && (
        <Table
          label="Webhooks"
          rows={webhooks.slice(0, SHOWN_WEBHOOKS)}
          keyOf={(webhook) => webhook.id}
          columns={[
            { head: 'Webhook', names: true, class: 'cell-webhook', cell: (webhook) => <Name webhook={webhook} /> },
            { head: 'Health', cell: (webhook) => <HealthCell webhook={webhook} /> },
            { head: 'Success', end: true, cell: ({ health }) => (health?.successRate == null ? <span class="muted">–</span> : share(health.successRate, 1)) },
          ]}
        />
      )}
    </Card>
  );
}

interface Failure {
  webhook: Webhook;
  event: EventRow;
}

/** Reads the last failed events of the webhooks that fail now. */
async function readFailures(brand: string, webhooks: readonly Webhook[], signal: AbortSignal): Promise<Failure[]> {
  const bad = webhooks.filter(({ health, status }) => health?.state === 'failing' || status === 'disabled').slice(0, FAILING_READ);
  const read = await Promise.all(
    bad.map(async (webhook) => {
      const { items } = await listEvents({ brand, webhook: webhook.id }, { status: 'failed', order: 'desc', limit: SHOWN_FAILURES }, signal);
      return items.map((event) => ({ webhook, event }));
    }),
  );
  const at = ({ event }: Failure) => event.delivery.lastAttemptAt ?? event.created;
  return read.flat().sort((a, b) => (at(a) < at(b) ? 1 : -1)).slice(0, SHOWN_FAILURES);
}

function Failures({ brand, webhooks }: { brand: string; webhooks: readonly Webhook[] }) {
  const key = webhooks.map(({ id, health, status }) => `${id} ${health?.state ?? status}`).join();
  const { data, problem, reload } = useResource((signal) => readFailures(brand, webhooks, signal), [brand, key], { every: POLL_INTERVAL_MS });
  if (data?.length === 0) return null;
  return (
    <Card title="Recent failures">
      <ProblemNote problem={problem} retry={reload} />
      {!data && !problem && <Loading />}
      {data && (
        <Table
          label="Recent failures"
          rows={data}
          keyOf={({ webhook, event }) => webhook.id + event.id}
          columns={[
            {
              head: 'Event',
              names: true,
              cell: ({ webhook, event }) => (
                <Link to={to.event(brand, webhook.id, event.id)} class="mono small" title={event.id}>
                  {event.type}
                </Link>
              ),
            },
            { head: 'Webhook', cell: ({ webhook }) => webhookName(webhook) },
            { head: 'Status', cell: ({ event }) => <DeliveryBadge status={event.delivery.status} /> },
            { head: 'Error', cell: ({ event }) => <span class="small">{event.delivery.lastError}</span> },
            { head: 'Last attempt', cell: ({ event }) => <Time at={event.delivery.lastAttemptAt} relative /> },
          ]}
        />
      )}
    </Card>
  );
}

function Jobs({ brand }: { brand: string }) {
  const { data, problem, reload } = useResource((signal) => listJobs(brand, { limit: SHOWN_JOBS }, signal), [brand], { every: POLL_INTERVAL_MS });
  const names = useNames([brand]);
  if (data?.items.length === 0) return null;
  return (
    <Card title="Redelivery jobs" actions={<Link to={to.jobs(brand)}>All</Link>}>
      <ProblemNote problem={problem} retry={reload} />
      {data && <JobTable jobs={data.items} brand={brand} names={names} reload={reload} />}
    </Card>
  );
}

function Changes({ brand }: { brand: string }) {
  const { data, problem, reload } = useResource((signal) => listAudit(null, { brandId: brand, limit: SHOWN_ENTRIES }, signal), [brand]);
  const names = useNames([brand]);
  return (
    <Card title="Recent changes" actions={<Link to={to.audit(brand)}>All</Link>}>
      <ProblemNote problem={problem} retry={reload} />
      {!data && !problem && <Loading />}
      {data?.items.length === 0 && <p class="muted">Nothing was changed yet.</p>}
      {data && data.items.length > 0 && <AuditEntries entries={data.items} brand={brand} names={names} short />}
    </Card>
  );
}

const Contact = ({ brand }: { brand: Brand }) => (
  <Card title="Contact" actions={<Link to={to.settings(brand.brandId)}>Edit</Link>}>
    {brand.contact ? (
      <p>
        <strong>
          <bdi>{brand.contact.name}</bdi>
        </strong>
        <br />
        <a href={`mailto:${brand.contact.email}`}>{brand.contact.email}</a>
      </p>
    ) : (
      <p class="muted">This brand has no contact, so nobody is told when a webhook is disabled.</p>
    )}
    <Facts>
      <Fact label="Event types">
        {brand.eventTypes.length === 0 ? (
          <Link to={to.types(brand.brandId)}>None enabled</Link>
        ) : (
          <span class="tags small">
            {brand.eventTypes.map(({ typeOrGroup, enabled }) => (
              <code key={typeOrGroup}>{enabled ? typeOrGroup : `not ${typeOrGroup}`}</code>
            ))}
          </span>
        )}
      </Fact>
      <Fact label="Rate limit">{brand.quotas.eventsPerSecond === null ? 'None' : `${count(brand.quotas.eventsPerSecond)} events per second`}</Fact>
      <Fact label="Created">
        <Time at={brand.created} />
      </Fact>
    </Facts>
  </Card>
);

function Tokens({ brand }: { brand: string }) {
  const { data, problem, reload } = useResource((signal) => listTokens(brand, { limit: 100 }, signal), [brand]);
  return (
    <Card title="Tokens" actions={<Link to={to.tokens(brand)}>Manage</Link>}>
      <ProblemNote problem={problem} retry={reload} />
      {!data && !problem && <Loading />}
      {data?.items.length === 0 && <p class="muted">This brand has no tokens yet, so it cannot use the API.</p>}
      <ul class="token-list">
        {data?.items.map((token) => (
          <li key={token.id}>
            <p>
              <strong>{token.name}</strong> <Badge tone={token.role === 'write' ? 'info' : 'idle'}>{token.role === 'write' ? 'Write' : 'Read'}</Badge>
            </p>
            <p class="small muted">
              <TokenLife token={token} nowMs={now.value} />
            </p>
          </li>
        ))}
      </ul>
    </Card>
  );
}
