// Redelivers the selected events with one request, and shows the progress of its job.

import { useEffect, useState } from 'preact/hooks';
import { readJob, redeliverIds, type StartedJob } from '../api/jobs';
import type { WebhookRef } from '../api/webhooks';
import { count, pluralize } from '../lib/format';
import { describeProgress, MAX_IDS } from '../lib/redelivery';
import { useResource } from '../lib/use-resource';
import { announce } from '../ui/announce';
import { Button, ProblemNote, Progress } from '../ui/basics';
import { Confirm, useRun } from '../ui/dialog';
import { JobProblem } from './redeliver-range';

const POLL_INTERVAL_MS = 1000;
/** Maximum number of rows that are read again one by one. */
const MAX_REFRESHED = 100;

interface Props {
  webhookRef: WebhookRef;
  ids: readonly string[];
  /** How many of them the endpoint has received already. */
  delivered: number;
  clear: () => void;
  refresh: (ids: readonly string[]) => Promise<void>;
}

export function SelectionBar({ webhookRef, ids, delivered, clear, refresh }: Props) {
  const [job, setJob] = useState<StartedJob | null>(null);
  const [asking, setAsking] = useState(false);
  const start = async () => {
    const started = await redeliverIds(webhookRef, ids);
    const gone = started.unknown?.length ?? 0;
    announce(`${pluralize(started.queued, 'event')} queued for redelivery.${gone > 0 ? ` ${pluralize(gone, 'event')} ${gone === 1 ? 'is' : 'are'} no longer kept.` : ''}`);
    setJob(started);
  };
  const run = useRun(start);
  const tooMany = ids.length > MAX_IDS;
  const end = async () => {
    await refresh(ids.slice(0, MAX_REFRESHED));
    clear();
  };
  return (
    <div class="selection" role="region" aria-label="Selection">
      <p>
        <strong>{pluralize(ids.length, 'event')} selected</strong>
        {tooMany && <span class="error-text"> Select at most {count(MAX_IDS)}, or redeliver a range.</span>}
        {!tooMany && delivered > 0 && <span class="muted"> {count(delivered)} of them delivered already</span>}
      </p>
      {job && <JobProgress webhookRef={webhookRef} job={job} onOver={end} />}
      <JobProblem problem={run.problem} webhookRef={webhookRef} />
      <div class="buttons">
        <Button kind="main" onClick={delivered > 0 ? () => setAsking(true) : run.go} busy={run.busy || job !== null} disabled={tooMany}>
          Redeliver
        </Button>
        <Button onClick={clear} disabled={run.busy}>
          Clear selection
        </Button>
      </div>
      {asking && (
        <Confirm title="Send delivered events again?" action={`Redeliver ${pluralize(ids.length, 'event')}`} danger={false} run={start} onClose={() => setAsking(false)}>
          <p>
            The endpoint has received {count(delivered)} of these {pluralize(ids.length, 'event')} already, and receives them again. It must
            ignore events whose id it knows.
          </p>
        </Confirm>
      )}
    </div>
  );
}

function JobProgress({ webhookRef, job, onOver }: { webhookRef: WebhookRef; job: StartedJob; onOver: () => Promise<void> }) {
  const [over, setOver] = useState(false);
  const poll = (signal: AbortSignal) => readJob(webhookRef, job.jobId, signal);
  const { data, problem } = useResource(poll, [job.jobId], { every: over ? undefined : POLL_INTERVAL_MS });
  const done = data !== null && (data.state !== 'running' || data.attempted >= Math.max(data.total, 1));
  useEffect(() => {
    if (!done) return;
    setOver(true);
    void onOver();
  }, [done]);
  return (
    <div>
      <p class="muted">{data ? describeProgress(data) : 'Queued'}</p>
      <Progress label="Events attempted" done={data?.attempted ?? 0} of={data?.total ?? job.queued} />
      <ProblemNote problem={problem} />
    </div>
  );
}
