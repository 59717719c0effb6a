// The redelivery jobs of all webhooks, and for support the jobs on rejected events, with progress.

import { useRef } from 'preact/hooks';
import { listJobs, type Job } from '../api/jobs';
import { cancelRejectedJob, listRejectedJobs } from '../api/rejected';
import type { RejectedJob } from '../api/types';
import { parseActor } from '../lib/audit';
import { count, humanize, pluralize, shortTime } from '../lib/format';
import { describeJob, describeProgress } from '../lib/redelivery';
import { explainReason } from '../lib/rejected';
import { useNames, type Named } from '../lib/use-names';
import { usePages } from '../lib/use-pages';
import { usePolling, useResource } from '../lib/use-resource';
import { zoneName } from '../lib/zone';
import { Link, setQuery, to, where, type PageProps } from '../router';
import { isSupport } from '../session';
import { Badge, Button, Card, Empty, Id, ProblemNote, Progress, Time, type Tone } from '../ui/basics';
import { useRun } from '../ui/dialog';
import { SelectField } from '../ui/fields';
import { PagedList } from '../ui/pages';
import { BrandTabs, Heading } from '../ui/shell';
import { Table, type Column } from '../ui/table';
import { CancelJob } from './job-actions';

const PAGE = 50;
const POLL_INTERVAL_MS = 2000;
const REJECTED_SHOWN = 20;

const STATES = [
  ['', 'Any state'],
  ['running', 'Running'],
  ['finished', 'Finished'],
  ['stopped', 'Stopped'],
  ['cancelled', 'Cancelled'],
] as const;

const TONES: Record<Job['state'], Tone> = { running: 'info', finished: 'good', stopped: 'warn', cancelled: 'idle' };

export function Jobs({ params: { brand } }: PageProps) {
  const scope = brand ?? null;
  return (
    <>
      <Heading title={isSupport() && scope !== null ? `Jobs of ${scope}` : 'Jobs'} up={isSupport() && scope !== null ? [['/brands', 'Brands']] : []}>
        {scope !== null && <BrandTabs brand={scope} />}
        <p class="muted">Redeliveries {scope === null ? 'of all webhooks' : 'of the webhooks'}, newest first. They run on when you close the page.</p>
      </Heading>
      <Redeliveries brand={scope} />
      {scope === null && isSupport() && <RejectedJobs />}
    </>
  );
}

function Redeliveries({ brand }: { brand: string | null }) {
  const state = where.value.query.get('state') ?? '';
  const load = (cursor: string | null, signal?: AbortSignal) => listJobs(brand, { state, limit: PAGE, cursor }, signal);
  const pages = usePages(load, [brand, state], { follows: true });
  const poll = async () => {
    if (!pages.ready) return;
    try {
      const { items } = await load(null);
      const known = new Set(items.map(({ id }) => id));
      pages.edit((old) => [...items, ...old.filter(({ id }) => !known.has(id))]);
    } catch {
      // The next poll may succeed. The list itself reports when it cannot be read.
    }
  };
  usePolling(poll, POLL_INTERVAL_MS);
  const names = useNames(pages.items.map((job) => job.brandId ?? brand));
  return (
    <>
      <div class="toolbar" role="search" aria-label="Jobs">
        <SelectField label="State" compact value={state} options={STATES} onChange={(value) => setQuery({ state: value })} />
      </div>
      <PagedList pages={pages} empty={<Empty title={state ? 'No jobs are in this state.' : 'Nothing was redelivered yet.'} />}>
        {(jobs) => <JobTable jobs={jobs} brand={brand} names={names} reload={pages.reload} />}
      </PagedList>
    </>
  );
}

export function JobTable({ jobs, brand, names, reload }: { jobs: Job[]; brand: string | null; names: ReadonlyMap<string, Named>; reload: () => Promise<void> }) {
  const brandOf = (job: Job) => job.brandId ?? brand ?? '';
  const columns: Column<Job>[] = [
    {
      head: 'Webhook',
      names: true,
      class: 'cell-webhook',
      cell: (job) => <JobWebhook job={job} brand={brandOf(job)} name={names.get(job.webhookId)} />,
    },
    ...(brand === null ? [{ head: 'Brand', cell: (job: Job) => <Link to={to.brand(brandOf(job))}>{brandOf(job)}</Link> }] : []),
    { head: 'Events', class: 'cell-what', cell: (job) => <What job={job} /> },
    {
      head: 'Progress',
      class: 'cell-progress',
      cell: (job) => (
        <>
          <Progress label={`Progress: ${describeProgress(job)}`} done={job.attempted} of={job.total} />
          <span class="small muted">{describeProgress(job)}</span>
        </>
      ),
    },
    { head: 'State', cell: (job) => <Badge tone={TONES[job.state]}>{humanize(job.state)}</Badge> },
    {
      head: 'Started',
      cell: (job) => (
        <>
          <Time at={job.created} relative />
          {job.actor && <span class="small muted block">{parseActor(job.actor).name}</span>}
        </>
      ),
    },
    {
      head: 'Action',
      end: true,
      cell: (job) => job.state === 'running' && <CancelJob webhookRef={{ brand: brandOf(job), webhook: job.webhookId }} job={job.id} onDone={reload} />,
    },
  ];
  return <Table label="Redelivery jobs" rows={jobs} keyOf={(job) => job.id} columns={columns} />;
}

const JobWebhook = ({ job, brand, name }: { job: Job; brand: string; name: Named | undefined }) => (
  <>
    <Link to={to.webhook(brand, job.webhookId)} class="strong">
      {name?.name ?? job.webhookId}
    </Link>
    <span class="block small">
      <Id id={job.id} what="job id" short />
    </span>
  </>
);

const What = ({ job }: { job: Job }) => (
  <>
    {describeJob(job)}
    {job.from && job.to && (
      <span class="small muted block">
        {shortTime(job.from)} – {shortTime(job.to)} {zoneName(job.from)}
      </span>
    )}
  </>
);

const REJECTED_TONES: Record<RejectedJob['state'], Tone> = { running: 'info', finished: 'good', stopped: 'warn' };

/** The jobs that republish or delete rejected events. */
export function RejectedJobs({ onOver }: { onOver?: () => void }) {
  const running = useRef(false);
  const load = async (signal: AbortSignal) => {
    const { items } = await listRejectedJobs({ limit: REJECTED_SHOWN }, signal);
    if (running.current && !items.some(({ state }) => state === 'running')) onOver?.();
    running.current = items.some(({ state }) => state === 'running');
    return items;
  };
  const { data, problem, reload } = useResource(load, [], { every: POLL_INTERVAL_MS });
  const cancel = useRun(async (job: string) => {
    await cancelRejectedJob(job);
    await reload();
  });
  if (data?.length === 0) return null;
  return (
    <Card title="Jobs on rejected events">
      <ProblemNote problem={problem} retry={reload} />
      <ProblemNote problem={cancel.problem} />
      {data && (
        <Table
          label="Jobs on rejected events"
          rows={data}
          keyOf={(job) => job.id}
          columns={[
            { head: 'Job', names: true, cell: (job) => (job.action === 'republish' ? 'Republish' : 'Delete') },
            { head: 'Events', cell: describeRejectedJob },
            {
              head: 'Progress',
              class: 'cell-progress',
              cell: (job) => (
                <>
                  <Progress label={`${job.done} of ${job.total ?? 'all'}`} done={job.done} of={job.total ?? Math.max(job.done, 1)} />
                  <span class="small muted">{job.total === null ? pluralize(job.done, 'event') : `${count(job.done)} of ${count(job.total)}`}</span>
                </>
              ),
            },
            { head: 'State', cell: (job) => <Badge tone={REJECTED_TONES[job.state]}>{humanize(job.state)}</Badge> },
            {
              head: 'Started',
              cell: (job) => (
                <>
                  <Time at={job.created} relative />
                  {job.actor && <span class="small muted block">{parseActor(job.actor).name}</span>}
                </>
              ),
            },
            {
              head: 'Action',
              end: true,
              cell: (job) =>
                job.state === 'running' && (
                  <Button onClick={() => cancel.go(job.id)} busy={cancel.busy}>
                    Stop
                  </Button>
                ),
            },
          ]}
        />
      )}
    </Card>
  );
}

const describeRejectedJob = ({ reason, brandId, type }: RejectedJob): string => {
  const parts = [reason && explainReason(reason).title, type, brandId && `brand ${brandId}`].filter(Boolean);
  return parts.length > 0 ? parts.join(', ') : 'All rejected events';
};
