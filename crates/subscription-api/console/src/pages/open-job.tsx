// The running redelivery of a webhook, above its deliveries. A webhook has at most one.

import { useEffect, useRef, useState } from 'preact/hooks';
import { listWebhookJobs } from '../api/jobs';
import type { WebhookRef } from '../api/webhooks';
import { describeJob, describeProgress, isOver } from '../lib/redelivery';
import { useResource } from '../lib/use-resource';
import { Link, to } from '../router';
import { isSupport } from '../session';
import { Progress } from '../ui/basics';
import { CancelJob } from './job-actions';

const RUNNING_INTERVAL_MS = 1500;
const IDLE_INTERVAL_MS = 15_000;

export function OpenJob({ webhookRef, started, onOver }: {
  webhookRef: WebhookRef;
  /** The number of jobs that the reader may have started here; a new one is looked for at once. */
  started: number;
  onOver: () => void;
}) {
  const [running, setRunning] = useState(false);
  const load = async (signal: AbortSignal) => {
    const open = (await listWebhookJobs(webhookRef, { limit: 5 }, signal)).items.find((job) => !isOver(job)) ?? null;
    setRunning(open !== null);
    return open;
  };
  const { data: job, reload } = useResource(load, [webhookRef.brand, webhookRef.webhook, started], { every: running ? RUNNING_INTERVAL_MS : IDLE_INTERVAL_MS });
  const had = useRef(false);
  useEffect(() => {
    if (had.current && !job) onOver();
    had.current = job !== null;
  }, [job]);
  if (!job) return null;
  return (
    <div class="open-job" role="region" aria-label="Running redelivery">
      <p>
        <strong>Redelivering</strong> {describeJob(job).replace(/^./, (first) => first.toLowerCase())}: {describeProgress(job)}
      </p>
      <Progress label="Events attempted" done={job.attempted} of={job.total} />
      <div class="buttons">
        <Link to={isSupport() ? '/jobs' : to.jobs(webhookRef.brand)}>All jobs</Link>
        <CancelJob webhookRef={webhookRef} job={job.id} onDone={reload} />
      </div>
    </div>
  );
}
