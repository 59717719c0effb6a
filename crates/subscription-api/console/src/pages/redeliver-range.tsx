// Redelivers the failed events of a time range, for example after an outage, and shows the progress. The events are
// counted before they are sent.

import { useState } from 'preact/hooks';
import type { RangeCount, RedeliveryJob, RedeliveryRange } from '../api/types';
import { countRange, readRedelivery, redeliverRange, type WebhookRef } from '../api/webhooks';
import { count, pluralize } from '../lib/format';
import { fromInput, toInput } from '../lib/local-input';
import { describeCount, initialChoice, STATUS_CHOICES, statusFilter } from '../lib/redelivery';
import { useResource } from '../lib/use-resource';
import { Button, Note, ProblemNote, Progress } from '../ui/basics';
import { Dialog, useRun } from '../ui/dialog';
import { SelectField, TextField } from '../ui/fields';
import type { EventFilter } from './event-filters';

const HOUR_MS = 3_600_000;
const POLL_INTERVAL_MS = 1000;

interface Props {
  webhookRef: WebhookRef;
  filter: EventFilter;
  onClose: () => void;
  onDone: () => void;
}

export function RangeDialog({ webhookRef, filter, onClose, onDone }: Props) {
  const [job, setJob] = useState<{ jobId: string; queued: number } | null>(null);
  return (
    <Dialog title="Redeliver a range" onClose={onClose}>
      {job ? (
        <Running webhookRef={webhookRef} job={job} onClose={onClose} onDone={onDone} />
      ) : (
        <Form webhookRef={webhookRef} filter={filter} onClose={onClose} onQueued={setJob} />
      )}
    </Dialog>
  );
}

function Form({ webhookRef, filter, onClose, onQueued }: {
  webhookRef: WebhookRef;
  filter: EventFilter;
  onClose: () => void;
  onQueued: (job: { jobId: string; queued: number }) => void;
}) {
  const [from, setFrom] = useState(toInput(filter.from || new Date(Date.now() - HOUR_MS).toISOString()));
  const [to, setTo] = useState(toInput(filter.to || new Date(Date.now() + 60_000).toISOString()));
  const [status, setStatus] = useState(initialChoice(filter.status));
  const [type, setType] = useState(filter.type);
  const [counted, setCounted] = useState<(RangeCount & { fields: string }) | null>(null);
  const inverted = from >= to;
  const body = (): RedeliveryRange => ({
    from: fromInput(from),
    to: fromInput(to),
    ...statusFilter(status),
    ...(type.trim() ? { type: type.trim() } : {}),
  });
  // A count is of the fields as they were, so every edit makes it void.
  const fields = JSON.stringify(body());
  const found = counted?.fields === fields ? counted : null;
  const counting = useRun(async () => setCounted({ ...(await countRange(webhookRef, body())), fields }));
  const sending = useRun(async () => onQueued(await redeliverRange(webhookRef, body())));
  const problem = sending.problem ?? counting.problem;
  const errors = (field: string) =>
    (problem?.fieldErrors ?? []).filter(({ pointer }) => pointer === `/${field}`).map(({ detail }) => detail);
  const submit = (event: Event) => {
    event.preventDefault();
    if (!inverted && found?.queued) void sending.go();
  };
  return (
    <form onSubmit={submit}>
      <p>Each of these events is delivered once more, with a new retry window.</p>
      <div class="two">
        <TextField label="From" type="datetime-local" required value={from} onChange={setFrom} errors={inverted ? ['It must be before "Until".'] : errors('from')} />
        <TextField label="Until" type="datetime-local" required value={to} onChange={setTo} errors={errors('to')} />
      </div>
      <SelectField label="Status" value={status} options={STATUS_CHOICES} onChange={setStatus} />
      <TextField label="Type or group" optional mono value={type} onChange={setType} errors={errors('type')} />
      <div aria-live="polite">{found && <Counted found={found} status={status} />}</div>
      <ProblemNote problem={problem} />
      <div class="buttons">
        <Button type="submit" kind="main" busy={sending.busy} disabled={inverted || !found?.queued}>
          Redeliver
        </Button>
        <Button onClick={counting.go} busy={counting.busy} disabled={inverted}>
          Count events
        </Button>
        <Button onClick={onClose}>Cancel</Button>
      </div>
    </form>
  );
}

function Counted({ found, status }: { found: RangeCount; status: string }) {
  const events = describeCount(found, status);
  if (found.queued === 0) return <Note>There are {events} in this range.</Note>;
  return (
    <Note tone={status === 'all' ? 'warn' : 'info'}>
      {events} will be redelivered{status === 'all' && ', including those that the endpoint has received already'}.
    </Note>
  );
}

function Running({ webhookRef, job, onClose, onDone }: {
  webhookRef: WebhookRef;
  job: { jobId: string; queued: number };
  onClose: () => void;
  onDone: () => void;
}) {
  const [over, setOver] = useState(false);
  const poll = async (signal: AbortSignal) => {
    const read = await readRedelivery(webhookRef, job.jobId, signal);
    if (isOver(read)) {
      setOver(true);
      onDone();
    }
    return read;
  };
  const { data, problem } = useResource(poll, [job.jobId], { every: over ? undefined : POLL_INTERVAL_MS });
  const of = data?.total ?? job.queued;
  const done = data?.attempted ?? 0;
  return (
    <div aria-live="polite">
      <p>
        {count(done)} of {data?.more && 'more than '}
        {pluralize(of, 'event')} attempted, {count(data?.delivered ?? 0)} delivered.
      </p>
      <Progress label="Events attempted" done={done} of={of} />
      {over && <Note tone={data?.state === 'stopped' ? 'warn' : 'good'}>{ending(data)}</Note>}
      <ProblemNote problem={problem} />
      <div class="buttons">
        <Button kind={over ? 'main' : 'plain'} onClick={onClose}>
          {over ? 'Close' : 'Continue in the background'}
        </Button>
      </div>
    </div>
  );
}

const isOver = (job: RedeliveryJob): boolean => job.state !== 'running' && (job.state === 'stopped' || job.attempted >= job.total);

function ending(job: RedeliveryJob | null): string {
  if (job?.state === 'stopped') return 'The redelivery stopped because the webhook is no longer active.';
  return job?.total === 0 ? 'There are no events to redeliver in this range.' : 'Done: every event was attempted.';
}
