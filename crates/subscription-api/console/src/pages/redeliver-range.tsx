// Redelivers the failed events of a time range, for example after an outage, and shows the progress. The events are
// counted before they are sent, and sending delivered events again needs a confirmation.

import { useState } from 'preact/hooks';
import { countRange, readJob, redeliverRange, type StartedJob } from '../api/jobs';
import type { Problem } from '../api/problem';
import type { RangeCount, RedeliveryJob } from '../api/types';
import type { WebhookRef } from '../api/webhooks';
import { describeCount, describeEnd, describeProgress, initialChoice, rangeBody, repeatsDelivered, STATUS_CHOICES } from '../lib/redelivery';
import type { TimeRange } from '../lib/time-range';
import { useResource } from '../lib/use-resource';
import { Link, to } from '../router';
import { isSupport } from '../session';
import { Button, Note, ProblemNote, Progress } from '../ui/basics';
import { Dialog, useRun } from '../ui/dialog';
import { CheckField, SelectField, TextField } from '../ui/fields';
import { TimeField } from '../ui/time-field';
import type { EventFilter } from './event-filters';
import { CancelJob } from './job-actions';

const POLL_INTERVAL_MS = 1000;

interface Props {
  webhookRef: WebhookRef;
  filter: EventFilter;
  range: TimeRange;
  onClose: () => void;
  onDone: () => void;
}

export function RangeDialog({ webhookRef, filter, range, onClose, onDone }: Props) {
  const [job, setJob] = useState<StartedJob | null>(null);
  return (
    <Dialog title="Redeliver a range" onClose={onClose}>
      {job ? (
        <Running webhookRef={webhookRef} job={job} onClose={onClose} onDone={onDone} />
      ) : (
        <Form webhookRef={webhookRef} filter={filter} range={range} onClose={onClose} onQueued={setJob} />
      )}
    </Dialog>
  );
}

function Form({ webhookRef, filter, range, onClose, onQueued }: Omit<Props, 'onDone'> & { onQueued: (job: StartedJob) => void }) {
  const [from, setFrom] = useState(range.from);
  const [until, setUntil] = useState(range.to);
  const [status, setStatus] = useState(initialChoice(filter.status));
  const [type, setType] = useState(filter.type);
  const [again, setAgain] = useState(false);
  const [counted, setCounted] = useState<(RangeCount & { fields: string }) | null>(null);
  const inverted = Boolean(from && until) && from >= until;
  const incomplete = !from || !until || inverted;
  const body = rangeBody(from, until, status, type);
  // A count is of the fields as they were, so every edit makes it void.
  const fields = JSON.stringify(body);
  const found = counted?.fields === fields ? counted : null;
  const counting = useRun(async () => setCounted({ ...(await countRange(webhookRef, body)), fields }));
  const sending = useRun(async () => onQueued(await redeliverRange(webhookRef, body)));
  const problem = sending.problem ?? counting.problem;
  const errors = (field: string) => (problem?.fieldErrors ?? []).filter(({ pointer }) => pointer === `/${field}`).map(({ detail }) => detail);
  const unconfirmed = repeatsDelivered(status) && !again;
  const submit = (event: Event) => {
    event.preventDefault();
    if (incomplete) return;
    if (!found) void counting.go();
    else if (found.queued > 0 && !unconfirmed) void sending.go();
  };
  return (
    <form onSubmit={submit}>
      <p>Each of these events is delivered once more, with a new retry window.</p>
      <div class="two">
        <TimeField label="From" required value={from} onChange={setFrom} errors={inverted ? ['It must be before "Until".'] : errors('from')} />
        <TimeField label="Until" required value={until} onChange={setUntil} errors={errors('to')} />
      </div>
      <SelectField label="Status" value={status} options={STATUS_CHOICES} onChange={setStatus} />
      <TextField label="Type or group" optional mono value={type} onChange={setType} errors={errors('type')} />
      <div aria-live="polite">{found && <Counted found={found} status={status} />}</div>
      {repeatsDelivered(status) && found !== null && found.queued > 0 && (
        <CheckField label="Send delivered events again" hint="The endpoint has received them already. It must ignore events that it knows." checked={again} onChange={setAgain} />
      )}
      <JobProblem problem={problem} webhookRef={webhookRef} />
      <div class="buttons">
        {found && found.queued > 0 ? (
          <Button type="submit" kind="main" busy={sending.busy} disabled={unconfirmed}>
            Redeliver {describeCount(found, status)}
          </Button>
        ) : (
          <Button type="submit" kind="main" busy={counting.busy} disabled={incomplete}>
            Count events
          </Button>
        )}
        <Button onClick={onClose}>Cancel</Button>
      </div>
    </form>
  );
}

function Counted({ found, status }: { found: RangeCount; status: string }) {
  const events = describeCount(found, status);
  return (
    <Note tone={repeatsDelivered(status) && found.queued > 0 ? 'warn' : 'info'}>
      <p>{found.queued === 0 ? `There are ${events} in this range.` : `${events} will be redelivered${status === 'all' ? ', including delivered ones' : ''}.`}</p>
    </Note>
  );
}

/** A problem of starting a job. A webhook has one open job; a second one is refused with a link to the first. */
export function JobProblem({ problem, webhookRef }: { problem: Problem | null; webhookRef: WebhookRef }) {
  if (problem?.status !== 409) return <ProblemNote problem={problem} />;
  return (
    <div class="note warn" role="alert">
      <p>
        <strong>{problem.detail.charAt(0).toUpperCase() + problem.detail.slice(1)}.</strong>{' '}
        <Link to={isSupport() ? '/jobs' : to.jobs(webhookRef.brand)}>Open the jobs</Link>
      </p>
    </div>
  );
}

function Running({ webhookRef, job, onClose, onDone }: {
  webhookRef: WebhookRef;
  job: StartedJob;
  onClose: () => void;
  onDone: () => void;
}) {
  const [over, setOver] = useState(false);
  const poll = async (signal: AbortSignal) => {
    const read = await readJob(webhookRef, job.jobId, signal);
    if (isComplete(read)) {
      setOver(true);
      onDone();
    }
    return read;
  };
  const { data, problem, reload } = useResource(poll, [job.jobId], { every: over ? undefined : POLL_INTERVAL_MS });
  return (
    <div aria-live="polite">
      <p>{data ? describeProgress(data) : 'The events are being queued…'}</p>
      <Progress label="Events attempted" done={data?.attempted ?? 0} of={data?.total ?? job.queued} />
      {over && data && <Note tone={data.state === 'running' || data.state === 'finished' ? 'good' : 'warn'}><p>{describeEnd(data)}</p></Note>}
      <ProblemNote problem={problem} />
      {!over && <p class="muted">You can close this dialog. The redelivery continues, and the page "Jobs" lists it.</p>}
      <div class="buttons">
        <Button kind={over ? 'main' : 'plain'} onClick={onClose}>
          {over ? 'Close' : 'Continue in the background'}
        </Button>
        {!over && <CancelJob webhookRef={webhookRef} job={job.jobId} onDone={reload} />}
      </div>
    </div>
  );
}

/** A job whose events were all attempted is complete for its reader, though it may wait for events stored late. */
const isComplete = (job: RedeliveryJob): boolean => job.state !== 'running' || (job.total > 0 && !job.more && job.attempted >= job.total);
